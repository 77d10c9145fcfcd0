"""The library audformat, imported when it is needed."""

from __future__ import annotations

from typing import Any

from sertk.errors import DataError

VOTES = "votes"
"""The scheme of columns `votes.CLASS`."""


def library() -> Any:
    """The module. Raises DataError without it."""
    try:
        import audformat
    except ImportError as error:
        raise DataError(
            f"databases of audformat need the library audformat ({error}): pip install 'sertk-corpora[audformat]'"
        ) from None
    return audformat
