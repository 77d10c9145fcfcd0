"""Running work here or on many machines."""
