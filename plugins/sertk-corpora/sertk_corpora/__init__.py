"""Readers of public corpora of emotional speech: CREMA-D, EMO-DB, RAVDESS and others."""
