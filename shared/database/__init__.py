"""PostgreSQL: its URLs, TLS and connections, the pool, readers that delay no page, what is kept how long."""
