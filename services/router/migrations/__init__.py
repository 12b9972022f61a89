"""The router's schema, revision by revision."""
