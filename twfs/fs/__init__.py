"""What the mount looks like, whatever protocol serves it."""
