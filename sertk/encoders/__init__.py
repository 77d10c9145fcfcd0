"""Encoders that come with sertk."""
