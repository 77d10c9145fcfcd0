"""Readers of corpora: a folder as its makers hand it out in, a manifest and a report of what was found out."""

from __future__ import annotations

READERS: dict[str, str] = {
    "msp_podcast": "sertk.data.corpora.msp_podcast.read:read_msp_podcast",
    "crema_d": "sertk.data.corpora.crema_d:read_crema_d",
    "emodb": "sertk.data.corpora.emodb:read_emodb",
}
"""Corpus name to its reader; a string, so that only the reader that is asked for is imported."""
