"""The loops: consumer, timers, fan-out, heartbeats, policy watch, canary, retention."""
