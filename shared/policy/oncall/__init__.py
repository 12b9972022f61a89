"""Who is on call: rotations, layers and overrides of a schedule, and the roster that everybody asks."""
