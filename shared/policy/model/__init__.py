"""The bundle as frozen values: people, targets, calendars, policies, SLAs, integrations; its JSON."""
