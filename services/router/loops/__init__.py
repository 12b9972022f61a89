"""What runs for ever: the consumer, timers, fan-out, heartbeats, the policy watch, the canary, retention."""
