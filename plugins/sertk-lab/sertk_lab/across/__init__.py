"""Across corpora: trained on one, tested on each."""
