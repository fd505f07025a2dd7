"""Slots of the past: cut, planned, started, steered."""
