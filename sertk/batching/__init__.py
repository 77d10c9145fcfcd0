"""Datasets, collation and samplers: which utterances make a batch."""
