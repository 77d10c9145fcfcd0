"""Every component that ships with sertk has a revision, so that a release of it makes nothing again by itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sertk.registry import REGISTRIES
from sertk.revisions import component_version

ROOT = Path(__file__).parents[1]
KINDS = ("encoder", "fusion", "sampler", "regularizer", "loss", "optimizer", "aggregator", "transcriber", "segmenter")


def shipped() -> list[tuple[str, str]]:
    """Kind and name of what the projects of this repository register."""
    found = []
    for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
        groups = tomllib.loads(path.read_text()).get("project", {}).get("entry-points", {})
        for kind in KINDS:
            ending = "es" if kind.endswith("s") else "s"
            found += [(kind, name) for name in groups.get(f"sertk_{kind}{ending}", {})]
    return found


@pytest.mark.plugins
@pytest.mark.parametrize(("kind", "name"), shipped())
def test_a_shipped_component_has_a_revision(kind: str, name: str) -> None:
    if name not in REGISTRIES[kind]:
        pytest.skip("its plugin is not installed")
    owner = REGISTRIES[kind].components()[name].distribution
    assert component_version(kind, name).startswith(f"{owner} revision ")
