"""Real servers for tests and benchmarks: PostgreSQL and Apache Kafka, each on free ports in a folder of its own."""
