"""Why a result is up to date or not: what it was made from, against what the same work would be made from now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sertk.errors import DataError, SertkError
from sertk.files import damaged
from sertk.provenance import Change, Provenance, Record, changes, edited, is_whole, read_record, record_path
from sertk.registry import PROVIDERS, planners

PLANNERS = {
    "data prepare": "sertk.corpora:prepare_provenance",
    "data split": "sertk.data.provenance:split_provenance",
    "data fix": "sertk.data.provenance:fix_provenance",
    "data map": "sertk.data.provenance:map_provenance",
    "data merge": "sertk.data.provenance:merge_provenance",
    "data audit": "sertk.data.provenance:audit_provenance",
    "data features": "sertk.features.external:provenance",
    "transcribe": "sertk.transcribers.provenance:transcribe_provenance",
    "extract": "sertk.extraction.differences:provenance",
    "train": "sertk.experiment:provenance",
    "combine": "sertk.ensemble.combine:provenance",
    "predict": "sertk.inference.provenance:provenance",
    "timeline": "sertk.inference.timeline_provenance:provenance",
    "crossval": "sertk.api.crossval_plan:provenance",
    "score": "sertk.scoring.provenance:score_provenance",
    "report": "sertk.reports.provenance:report_provenance",
}
"""The planner of each verb, which `Provenance.call` has the arguments of; a string, so that only one is imported.

Plugins add those of their verbs by the entry point group `sertk_planners`."""


@dataclass(frozen=True)
class Reasons:
    """Why a result is up to date or not.

    record: as its verb wrote it. changes: the parts that differ. problems: what else is wrong, in words. inputs: of
    the results that it was made from.
    """

    out: Path
    record: Record
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    inputs: tuple[Reasons, ...] = field(default=())

    @property
    def differs(self) -> bool:
        """Whether its verb would run again now; else only if what it reads comes out different."""
        return bool(self.changes or self.problems)

    @property
    def up_to_date(self) -> bool:
        """Whether nothing would be done, for it and for all that it was made from."""
        return not self.differs and all(each.up_to_date for each in self.inputs)

    def stale(self) -> Iterator[Reasons]:
        """Those that are not up to date, what is read before what reads it; each once."""
        seen: set[Path] = set()
        for each in self._in_order():
            if not each.up_to_date and each.out not in seen:
                seen.add(each.out)
                yield each

    def _in_order(self) -> Iterator[Reasons]:
        for each in self.inputs:
            yield from each._in_order()
        yield self

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "out": str(self.out),
            "verb": self.record.made.verb,
            "up_to_date": self.up_to_date,
            "key": self.record.made.key,
            "parts": dict(self.record.made.parts),
            "changes": [vars(change) for change in self.changes],
            "problems": [*self.problems],
            "inputs": [each.as_dict() for each in self.inputs],
            "would_run_again": [
                {"verb": each.record.made.verb, "out": str(each.out), "differs": each.differs}
                for each in self.stale()
            ],
        }


def explain(out: Path) -> Reasons:
    """Compare a result, and the results that it was made from, with what would be made now.

    Raises DataError for what no verb made.
    """
    found = _explain(out, {})
    if found is None:
        inside = sorted(path.name for path in out.iterdir() if read_record(path)) if out.is_dir() else []
        hint = (
            f": {', '.join(inside[:5])} in it are" if inside else f": there is no {record_path(out)} that can be read"
        )
        raise DataError(f"{out} is not a result of sertk{hint}")
    return found


def _explain(out: Path, known: dict[Path, Reasons | None]) -> Reasons | None:
    place = out.absolute()
    if place in known:
        return known[place]
    record = read_record(out)
    known[place] = None if record is None else Reasons(out, record)  # until it is done, should it read itself
    if record is not None:
        folder = record_path(out).parent / record.folder
        now, problems = _plan(record, folder)
        reads = record.made.reads if now is None else now.reads
        found = [_explain(_seen(folder / path), known) for path in reads]
        problems = [*_damage(out, record), *problems, *_missing(folder, [*reads])]
        differ = changes(record.made, now) if now is not None else []
        inputs = tuple(each for each in found if each is not None)
        known[place] = Reasons(out, record, tuple(differ), tuple(problems), inputs)
    return known[place]


def _plan(record: Record, folder: Path) -> tuple[Provenance | None, list[str]]:
    """What the same call would be made from now, or why nobody knows."""
    verb = record.made.verb
    if verb not in PLANNERS and verb not in planners:
        provider = PROVIDERS["verb"].get(verb)
        why = f"`pip install {provider}` has its planner" if provider else f"`{verb}` has no planner"
        return None, [f"what it would be made from now is unknown: {why}"]
    if not folder.is_dir():
        return None, [f"the folder that it was made in is gone: {folder}"]
    try:
        planner = _planner(verb)
        with chdir(folder):
            return planner(**record.made.call), []
    except (SertkError, OSError) as error:
        return None, [str(error)]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return None, [f"its record has no call of `sertk {verb}`: {type(error).__name__}: {error}"]


def _planner(verb: str) -> Any:
    """Load the planner of a verb of sertk or of a plugin. Raises RegistryError for a verb without one."""
    if verb not in PLANNERS:
        return planners.get(verb)
    module, _, function = PLANNERS[verb].partition(":")
    return getattr(import_module(module), function)


def _damage(out: Path, record: Record) -> list[str]:
    if not record.intact:
        return ["its record is damaged"]
    if not record.finished:
        return ["it is not finished"]
    names = sorted({*(path.name for path in edited(out, record)), *(damaged(out) if out.is_dir() else [])})
    if names:
        return [f"edited or damaged since it was written: {', '.join(names)}"]
    return [] if is_whole(out, record) else ["a file of it is gone"]


def _missing(folder: Path, reads: tuple[str, ...] | list[str]) -> list[str]:
    return [
        f"what it was made from is gone: {_seen(folder / path)}" for path in reads if not (folder / path).exists()
    ]


def _seen(path: Path) -> Path:
    """A path as seen from the working folder, short where it is inside."""
    place = Path(os.path.normpath(path.absolute()))
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place
