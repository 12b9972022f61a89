"""The values that rules work on: the incident, its signals, its context, and the decision."""
