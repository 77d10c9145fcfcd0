"""The floors hold, and modules stay short enough to be read in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 250
REASON = "# Longer than others: "
"""A module of more lines has a line that begins so and says why."""


def test_each_floor_imports_only_from_below() -> None:
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["sertk", "plugins"])
def test_modules_are_short_or_say_why_not(folder: str) -> None:
    long = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "tests" not in path.parts and len(text.splitlines()) > MOST_LINES and REASON not in text:
            long.append(str(path.relative_to(ROOT)))
    assert long == []


@pytest.mark.parametrize(
    "module", ["sertk", "sertk.cli", "sertk.registry", "sertk.config.files", "sertk.recipes.runner"]
)
def test_the_lowest_floors_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_no_modules_import_each_other_in_a_circle_but_for_types_of_contracts() -> None:
    graph = grimp.build_graph("sertk", exclude_type_checking_imports=False, cache_dir=None)
    graph.remove_module("sertk.contracts")  # which names types of the floors that it is a contract of
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while True:  # take away what imports nothing that is left: what remains is in a circle, or above one
        free = {module for module, imported in imports.items() if not imported & imports.keys()}
        if not free:
            break
        imports = {module: imported for module, imported in imports.items() if module not in free}
    assert sorted(imports) == []
