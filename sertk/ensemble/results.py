"""Where `combine` puts its models, one in a folder or several inside it, and what it may replace there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sertk import provenance
from sertk.cards import has_its_members, is_checkpoint, read_card
from sertk.checkpoint import refuse_additions
from sertk.outputs import refuse_collisions, refuse_foreign
from sertk.provenance import Provenance, read_record

VERB = "combine"


def check_output(out: Path, inputs: Sequence[Path]) -> None:
    """Raise OutputError where models in `out` would replace anything but earlier ones, or what they are made from."""
    refuse_collisions([out], inputs)
    own = [] if is_checkpoint(out) else [path for path in results_in(out) if _made_here(path)]
    refuse_foreign(out, VERB, own=[path.name for path in own])
    for folder in own or [out]:
        refuse_additions(folder)


def is_current(out: Path, made: Provenance) -> bool:
    """Whether `out` has, undamaged, all models that `combine` would make."""
    found = results_in(out)
    if not found or not all(provenance.is_current(folder, made) and has_its_members(folder) for folder in found):
        return False
    return found == [out] or [folder.name for folder in found] == sorted(read_card(found[0]).notes.get("models", []))


def results_in(out: Path) -> list[Path]:
    """The checkpoint at `out`, or those right inside it."""
    if is_checkpoint(out):
        return [out]
    return sorted(path for path in out.iterdir() if is_checkpoint(path)) if out.is_dir() else []


def _made_here(folder: Path) -> bool:
    record = read_record(folder)
    return record is not None and record.made.verb == VERB
