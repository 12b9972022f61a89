"""Benchmarks: `python -m bench` runs them all, `python -m bench intake` one of them."""
