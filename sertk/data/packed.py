"""Text files that are packed where their name ends in `.gz`: the same content gives the same bytes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, Literal


def open_text(path: Path, mode: Literal["r", "w"], like: Path | None = None) -> IO[str]:
    """Open a text file. like: the path whose ending says whether it is packed, for a temporary name."""
    if (like or path).suffix != ".gz":
        return open(path, mode, encoding="utf-8")
    if mode == "r":
        return gzip.open(path, "rt", encoding="utf-8")
    # No name and no time in the gzip header.
    raw = open(path, "wb")  # noqa: SIM115
    packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=6)
    packed.myfileobj = raw  # type: ignore[assignment]  # closed with it
    return io.TextIOWrapper(packed, encoding="utf-8")
