"""Calendars and maintenance windows: days and spans on which things do not run."""
