"""Readers of public corpora of emotional speech: CREMA-D and EMO-DB."""
