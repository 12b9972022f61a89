"""The PostgreSQL that `ladder up` brings along: its programs, its processes, and the folder with its data."""
