"""Transcribers that come with sertk."""
