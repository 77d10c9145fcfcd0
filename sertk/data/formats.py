"""Which files are recordings: by the ending of their names, and what to do about sound that cannot be read here."""

from __future__ import annotations

import os
import re
from pathlib import Path

AUDIO_SUFFIXES = frozenset(
    "." + name
    for name in (
        *("wav", "wave", "bwf", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "mp1"),
        *("aif", "aiff", "aifc", "au", "snd", "caf", "sph", "nist", "voc", "sf", "ircam"),
        *("avr", "htk", "svx", "8svx", "iff", "paf", "fap", "pvf", "sd2", "sds", "wve"),
    )
)
"""Endings of the formats that libsndfile reads, in lower case.

Left out: `.raw`, which does not say its rate; `.mat` and `.mpc`, which are other things far more often than sound.
"""

OTHER_SUFFIXES = frozenset(
    "." + name
    for name in (
        *("m4a", "m4b", "aac", "mp4", "m4v", "mov", "webm", "weba", "mkv", "mka", "wma", "wmv", "asf", "amr", "awb"),
        *("3gp", "3ga", "3g2", "avi", "flv", "mpg", "mpeg", "ts", "mts", "ogv", "ape", "wv", "tta", "shn", "spx"),
        *("ac3", "dts", "ra", "rm", "gsm", "qcp", "dsf", "dff", "raw", "pcm", "mpc"),
    )
)
"""Endings of sound and video that libsndfile does not read."""


def is_recording(path: Path) -> bool:
    """Whether a file's name ends as those of readable recordings do."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def is_other_sound(path: Path) -> bool:
    """Whether a file's name ends as those of sound or video do that must be converted first."""
    return path.suffix.lower() in OTHER_SUFFIXES


def how_to_convert(path: Path) -> str:
    """What makes a readable recording of sound or video."""
    source = "-f s16le -ar 16000 -ac 1 " if path.suffix.lower() in (".raw", ".pcm") else ""
    return f"convert it: ffmpeg {source}-i {path.name} {path.stem}.wav"


def of_windows(path: Path) -> str:
    """A hint for a missing file whose path was written on Windows, else nothing."""
    if os.sep == "/" and ("\\" in path.name or re.search(r"(^|/)[A-Za-z]:[\\/]", str(path))):
        return " (a path of Windows: prepare the corpus here again, or write the paths of this system)"
    return ""
