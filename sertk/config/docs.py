"""What a component's docstring says of its options, read as numpydoc by docstring_parser."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from docstring_parser import DocstringStyle, parse


def option_descriptions(factory: Callable[..., Any]) -> dict[str, str]:
    """The descriptions in the section Parameters, by name.

    Parameters
    ----------
    factory
        A component: a function, or a class with its options in `__init__`.

    Returns
    -------
    dict
        One line of text for each parameter that the docstring describes; `a, b` describes both.
    """
    parsed = parse(inspect.getdoc(factory) or "", style=DocstringStyle.NUMPYDOC)
    return {
        name.strip(): " ".join((one.description or "").split())
        for one in parsed.params
        for name in one.arg_name.split(",")
    }


def description(factory: Callable[..., Any]) -> str:
    """What the docstring says beside the options: paragraphs of summary, body, errors and references."""
    parsed = parse(inspect.getdoc(factory) or "", style=DocstringStyle.NUMPYDOC)
    references = [one.description or "" for one in parsed.meta if one.args == ["references"]]
    parts = [
        parsed.short_description or "",
        parsed.long_description or "",
        *(f"Raises {one.type_name}: {' '.join((one.description or '').split())}" for one in parsed.raises),
        *(f"References: {' '.join(text.split())}" for text in references),
    ]
    return "\n\n".join(part for part in parts if part)
