"""The notifier's HTTP API, and who may use it."""
