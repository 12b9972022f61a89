"""The bundle's message templates: the fields they read, rendering within bounds, a dry run of each."""
