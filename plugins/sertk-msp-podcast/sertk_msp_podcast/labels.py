"""The label set of MSP-Podcast."""

from __future__ import annotations

from sertk.data.labels import LabelSet

MSP_PODCAST = LabelSet(
    ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN"
)
"""The eight classes of MSP-Podcast, in the order of the corpus and of MEDUSA."""
