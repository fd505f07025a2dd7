"""Why something does not run, how far it drifts, and what must never be."""
