"""What /healthz and the metrics know: measurements that may go stale, and how far a consumer is behind."""
