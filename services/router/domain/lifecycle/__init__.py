"""From triggered to closed and back: what events, people and time do to an incident."""
