"""The event log on PostgreSQL: one machine, nothing to install, the same promises as Kafka's."""
