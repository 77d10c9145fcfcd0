"""Files as chance, or somebody who means harm, may change them: hypothesis strategies from real bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ODD_TEXT = (
    "",
    " ",
    "\x00",
    "\ufeff",
    "../../x",
    "/etc/passwd",
    "a" * 10_000,
    "nan",
    "Infinity",
    "é\u2028",
    "-",
    "{",
    '"',
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, -(2**70), 1e308, -0.0, float("nan"), float("inf")),
    *([], {}, [[]], [None], {"": None}, *ODD_TEXT),
)
SNIPPETS = (
    *(
        b"\x00",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\x7f",
        b"\n",
        b"\r\n",
        b",",
        b";",
        b'"',
    ),
    *(b"{", b"}", b"[", b"]" * 50, b"[" * 5_000, b'{"a":' * 5_000, b"= ", b"nan", b"1e999", b"-1", b"9" * 5_000),
    *(b"\xef\xbb\xbf", b"\\u0000", b"\\ud800", b"../", b"\x1f\x8b", b"\x80\x04\x95"),
)


def odd_json() -> st.SearchStrategy[Any]:
    leaves = st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=20)
    return st.recursive(
        leaves, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(max_size=8), s, max_size=3)
    )


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Bits turned, parts cut, doubled, moved and put in."""
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(made)))
        size = draw(st.integers(0, 64))
        kind = draw(st.sampled_from(("turn", "cut", "end", "double", "snippet", "random")))
        if kind == "turn" and at < len(made):
            made[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del made[at : at + size]
        elif kind == "end":
            del made[at:]
        elif kind == "double":
            made[at:at] = made[max(0, at - size) : at]
        elif kind == "snippet":
            made[at : at + draw(st.sampled_from((0, 1, 4)))] = draw(st.sampled_from(SNIPPETS))
        else:
            made[at : at + size] = draw(st.binary(max_size=16))
    return bytes(made)


@st.composite
def changed_json(draw: st.DrawFn, value: Any) -> Any:
    """One place of a JSON value replaced, removed, or a key added."""
    value = json.loads(json.dumps(value))
    here, path = value, []
    while isinstance(here, (dict, list)) and here and (not path or draw(st.integers(0, 3))):
        path.append(draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here)))))
        here = here[path[-1]]
    if not path:
        return draw(odd_json())
    parent = value
    for step in path[:-1]:
        parent = parent[step]
    kind = draw(st.sampled_from(("replace", "remove", "add")))
    if kind == "replace":
        parent[path[-1]] = draw(odd_json())
    elif kind == "remove":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(ODD_TEXT) | st.text(max_size=8))] = draw(odd_json())
    else:
        parent.insert(0, draw(odd_json()))
    return value


@st.composite
def changed(draw: st.DrawFn, name: str, data: bytes) -> bytes:
    """A file changed as its kind allows: JSON by its values, tables by their cells, anything by its bytes."""
    if name.endswith((".json", ".jsonl")) and draw(st.booleans()):
        lines = data.splitlines() if name.endswith(".jsonl") else [data]
        row = draw(st.integers(0, len(lines) - 1))
        lines[row] = json.dumps(draw(changed_json(json.loads(lines[row])))).encode()
        return b"\n".join(lines)
    if name.endswith((".csv", ".txt", ".toml")) and draw(st.booleans()):
        lines = data.splitlines()
        row = draw(st.integers(0, len(lines) - 1))
        mark = b"=" if name.endswith(".toml") else b";" if name.endswith(".txt") else b","
        cells = lines[row].split(mark)
        cells[draw(st.integers(0, len(cells) - 1))] = (
            draw(st.sampled_from(ODD_TEXT) | st.text(max_size=12)).encode("utf-8", "replace")
            if draw(st.booleans())
            else json.dumps(draw(odd_json())).encode()
        )
        lines[row] = mark.join(cells)
        return b"\n".join(lines)
    return draw(changed_bytes(data))
