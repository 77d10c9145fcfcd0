"""The components that a configuration names, for the versions in the keys of what is made with it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from sertk.config.check import kind_at, uses
from sertk.config.options import options_model
from sertk.config.schema import Section
from sertk.registry import REGISTRIES


def components_of(section: Section) -> set[tuple[str, str]]:
    """Every component (kind, name), those that another one's options name too.

    Raises RegistryError for one that cannot be loaded.
    """
    found: set[tuple[str, str]] = set()

    def walk(model: type[BaseModel], data: dict[str, Any]) -> None:
        for location, use_model, use in uses(model, data):
            kind = kind_at(location)
            if kind is None:
                continue
            found.add((kind, use["use"]))
            options = {key: value for key, value in use.items() if key not in use_model.model_fields}
            walk(options_model(REGISTRIES[kind].get(use["use"])), options)

    walk(type(section), section.model_dump(mode="json", exclude_none=True))
    return found
