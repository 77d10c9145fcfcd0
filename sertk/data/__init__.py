"""Corpora as sertk sees them: label sets, votes, manifests, splits and audio."""
