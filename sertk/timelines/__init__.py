"""Emotion over time as data: spans, timelines, their summaries and formats. No model here."""
