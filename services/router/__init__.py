"""Router: owns the state of every incident and decides who handles it."""
