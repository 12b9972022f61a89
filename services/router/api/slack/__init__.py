"""Buttons in Slack: whoever presses one is known by the policy, and acts as through a link."""
