"""Recordings inside a page: short, small, and in a form that browsers play."""

from __future__ import annotations

import base64
import io

import soundfile

from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError

SAMPLE_RATE = 16_000
LONGEST_SECONDS = 12.0
"""A longer utterance is cut here: the page carries every clip within itself."""


def data_uri(manifest: Manifest, utterance: Utterance) -> str:
    """An utterance as a `data:audio/ogg` address: Opus, cut after 12 s. Raises AudioError if it cannot be read."""
    located = manifest.with_utterances([utterance]).located()[0]
    samples = Recording(located).waveform(SAMPLE_RATE)[: round(LONGEST_SECONDS * SAMPLE_RATE)]
    packed = io.BytesIO()
    try:
        soundfile.write(packed, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=0.8)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{located.audio}: cannot be written as Opus: {error}") from None
    return "data:audio/ogg;base64," + base64.b64encode(packed.getvalue()).decode()
