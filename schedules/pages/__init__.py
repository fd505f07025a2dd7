"""The form of a trigger and what surrounds it: preview, plan, pauses, what is held."""
