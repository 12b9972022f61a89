"""The history of the schema `eventlog`."""
