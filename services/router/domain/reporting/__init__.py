"""What reports count of an incident, and the calendar periods they group by."""
