"""Names and texts from elsewhere as they can be shown: what would steer a terminal, or is not UTF-8, is escaped."""

from __future__ import annotations

import json
import re
from typing import Any

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends, signs that turn the direction of writing, and bytes that are not UTF-8."""

_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escaped(text: str, *, keep: str = "") -> str:
    r"""Give a text with its unsafe characters as `\x1b`, `\n`, `\u202e`.

    A byte of a file name that is not UTF-8 becomes `\xe9`. keep: characters that stay as they are.
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def safe_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in which unsafe characters are escaped as JSON has it, so that it can be shown and written anywhere."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _escape(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps such a byte
        code -= 0xDC00
    return _NAMED.get(sign) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
