"""What OpenAPI says of intake's paths."""
