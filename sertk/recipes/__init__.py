"""The runner behind sertk run."""
