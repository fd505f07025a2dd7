"""`triggers.yaml`: read, taken over into rows, written back."""
