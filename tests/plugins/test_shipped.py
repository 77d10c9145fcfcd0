"""Every shipped plugin's own tests pass where only sertk, the plugin and what it depends on are installed."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
PLUGINS = Path(__file__).parents[2] / "plugins"
NAMES = sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))


def with_dependencies(name: str) -> list[str]:
    """The plugin, and the shipped plugins that it, or its extra `test`, declares to need."""
    project = tomllib.loads((PLUGINS / name / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project.get("optional-dependencies", {}).get("test", [])]
    needed = [re.match(r"[\w-]+", line) for line in lines]
    return [name, *(match[0] for match in needed if match and (PLUGINS / match[0]).is_dir())]


@pytest.mark.parametrize("name", NAMES)
def test_its_own_tests_pass(
    name: str, fresh: Callable[..., Any], wheels: Callable[..., list[Path]], tmp_path: Path
) -> None:
    wheels(*(PLUGINS / each for each in NAMES))  # all at the first call
    environment = fresh(*(PLUGINS / each for each in with_dependencies(name)))
    shutil.copytree(PLUGINS / name / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\nmarkers =\n  slow\n  real\n  plugins\n")
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-m", "not slow and not real")
    assert " passed" in environment.run("pytest", *options, "tests", cwd=tmp_path)
