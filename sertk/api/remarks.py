"""Warnings that functions give where a verb prints a line."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from sertk.errors import EditedWarning, Fault, LeftOutWarning, SertkWarning
from sertk.escapes import escaped

SHOWN = 10
"""Faults that are warned of one by one."""


def warn(message: str, kind: type[SertkWarning] = SertkWarning) -> None:
    """Give a warning that names the caller of the public function."""
    warnings.warn(message, kind, stacklevel=3)


def warn_of_remarks(remarks: Iterable[Fault]) -> None:
    """Warn of what was done to recordings that were used all the same, each thing once with the first of them."""
    by_message: dict[str, list[str]] = {}
    for remark in remarks:
        by_message.setdefault(remark.message, []).append(remark.place)
    for message, places in by_message.items():
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        warn(f"{escaped(', '.join(places[:3]))}{more}: {message}")


def warn_of_left_out(faults: Sequence[Fault]) -> None:
    """Warn of the first recordings that were left out, and count the others."""
    for fault in faults[:SHOWN]:
        warn(f"left out {escaped(fault.place)}: {fault.message}", LeftOutWarning)
    if len(faults) > SHOWN:
        warn(f"... and {len(faults) - SHOWN} more", LeftOutWarning)


def warn_of_edited(edited: Iterable[Path]) -> None:
    """Warn of results that somebody had edited, and that were moved aside before they were written again."""
    for path in edited:
        name = path.name.partition(".edited")[0]
        warn(f"{name} was edited since it was written: kept as {path}", EditedWarning)
