"""What an integration's `set`, `map`, `ignore` and `each` make of a post."""
