"""What reports count of an incident, and the calendar periods they count by."""
