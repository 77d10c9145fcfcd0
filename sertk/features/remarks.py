"""What was done to utterances that are stored all the same, such as cutting a transcript: `remarks.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sertk.errors import StoreError
from sertk.files import parse_json


def read_remarks(path: Path) -> dict[str, str]:
    """Remarks by id; none where there is no such file. Raises StoreError for a damaged one."""
    try:
        rows = [parse_json(line) for line in path.read_bytes().splitlines()]
        return {str(row["id"]): str(row["message"]) for row in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(f"{path} is damaged: delete it and extract again, stored frames are kept") from None


def remarks_text(remarks: Mapping[str, str]) -> str:
    """The lines of a file of remarks, by id."""
    rows = ({"id": key, "message": message} for key, message in sorted(remarks.items()))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
