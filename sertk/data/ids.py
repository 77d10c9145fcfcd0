"""Which ids and names are safe in every file: stores, lists of ids, tables."""

from __future__ import annotations

from sertk.escapes import escaped

RESERVED = "__metadata__"
"""A key that safetensors keeps for itself: an utterance of this id would ruin its store for good."""


def id_fault(id: str) -> str | None:
    """What makes a text unfit for an utterance's id, or None.

    What is fit survives `train_ids.txt`, one id on each line, as well as feature stores and tables.
    """
    if id == RESERVED:
        return f"the id {RESERVED!r} is reserved by feature stores"
    return name_fault("id", id)


def names_fault(id: str, **names: str | None) -> str | None:
    """What makes an utterance's id, or a name that it has (its speaker, its split, ...), unfit for files, or None."""
    return id_fault(id) or next(filter(None, (name_fault(what, name) for what, name in names.items())), None)


def name_fault(what: str, name: str | None) -> str | None:
    """What makes a text unfit for a name, such as that of a speaker or a split, or None; None has no fault."""
    if name is None:
        return None
    if not name.strip():
        return f"the {what} is empty" if not name else f"the {what} has nothing but blanks"
    if name.isprintable():
        return None
    bad = next((sign for sign in name if _breaks(sign)), None)
    if bad is None:
        return None
    if "\ud800" <= bad <= "\udfff":
        return f"the {what} '{escaped(name)}' is not UTF-8"
    return f"the {what} '{escaped(name)}' has a line break or control character ({escaped(bad)})"


def _breaks(sign: str) -> bool:
    """Whether a character ends lines somewhere, steers terminals, or cannot be written."""
    return sign < " " or "\x7f" <= sign <= "\x9f" or sign in "\u2028\u2029" or "\ud800" <= sign <= "\udfff"
