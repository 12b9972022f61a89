"""The event log on Kafka, by aiokafka: production, any number of replicas."""
