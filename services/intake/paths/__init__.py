"""The HTTP paths that take posts."""
