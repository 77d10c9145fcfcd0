"""Posteriors, aggregators and combination."""
