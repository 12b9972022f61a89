"""Stakeholders: who hears of an incident without being asked to act, and how often they are owed news."""
