"""OpenAPI's description of intake's paths."""
