"""The table of what this project's plugins provide is that of their metadata, and a missing one is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sertk.errors import UnknownNameError
from sertk.registry import PROVIDERS, REGISTRIES, Registry, adopters, checkers, models, planners, verbs

PLUGINS = Path(__file__).parents[1] / "plugins"
KINDS = {r.namespace[-1]: r.kind for r in (*REGISTRIES.values(), adopters, checkers, models, planners, verbs)}


def test_the_table_is_that_of_the_plugins() -> None:
    declared: dict[str, dict[str, str]] = {}
    for path in PLUGINS.glob("*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        for group, names in project["entry-points"].items():
            kind = KINDS[group.removeprefix("sertk_")]
            declared.setdefault(kind, {}).update(dict.fromkeys(names, project["name"]))
    assert declared == PROVIDERS


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in PROVIDERS.items() for name in names if kind != "verb"]
)
def test_the_message_names_what_provides_a_component(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "_get_entry_points", lambda self: [])  # as where nothing is installed
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_installed", {})  # what the others find meanwhile is forgotten afterwards
    provider = PROVIDERS[kind][name]
    with pytest.raises(UnknownNameError, match=f"{provider} provides it: pip install {provider}"):
        Registry(kind).get(name)
