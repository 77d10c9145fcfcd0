"""Where a public checkpoint is: `hf:OWNER/NAME`, `hf:OWNER/NAME@REVISION`, or a folder."""

from __future__ import annotations

import re
from pathlib import Path

from sertk.hub import find_checkpoint
from sertk.provenance import from_here
from sertk_adopt.contract import AdoptError, Public
from sertk_adopt.strict import shapes_of

HUB = re.compile(r"hf:(?P<id>[^@]+)(@(?P<revision>.+))?")


def named(source: str) -> str:
    """As records have it: an id, or the folder's path from the working folder."""
    return source if source.startswith("hf:") else from_here(Path(source))


def public_of(source: str) -> Public:
    """A checkpoint by hub id or folder. Raises SertkError where it is not available."""
    match = HUB.fullmatch(source)
    if match is None and not Path(source).is_dir():
        hint = f" A checkpoint of the hub is hf:{source}" if source.count("/") == 1 else ""
        raise AdoptError(f"there is no folder {source}.{hint}")
    found = find_checkpoint(match["id"], revision=match["revision"]) if match else find_checkpoint(source)
    return Public(found, shapes_of(found), source)
