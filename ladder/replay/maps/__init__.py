"""What the columns of a recorded log mean: one YAML file a source."""
