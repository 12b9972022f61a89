"""Keys and signed references, the demo's public keys, and secrets that stand in files."""
