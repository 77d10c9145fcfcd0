"""What works without `fcntl`, as on Windows, and what says that it does not."""

from __future__ import annotations

import subprocess
import sys


def run_without_fcntl(code: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys\nsys.modules['fcntl'] = None\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_everything_imports() -> None:
    code = """
import importlib, pkgutil, sertk
for module in pkgutil.walk_packages(sertk.__path__, "sertk."):
    if not module.name.startswith(("sertk.testing", "sertk.engine.ray")):
        importlib.import_module(module.name)
"""
    done = run_without_fcntl(code)
    assert done.returncode == 0, done.stderr


def test_a_lock_says_that_it_needs_another_system() -> None:
    code = """
import tempfile
from pathlib import Path
from sertk.errors import PlatformError
from sertk.locks import sole_writer
try:
    with sole_writer(Path(tempfile.mkdtemp(), "x")):
        pass
except PlatformError as error:
    print(error)
"""
    done = run_without_fcntl(code)
    assert done.stdout.startswith(
        "File locks, which keep two processes from writing one result, work on Linux and macOS"
    )


def test_a_recipe_says_that_it_needs_another_system() -> None:
    code = """
from pathlib import Path
from sertk.errors import PlatformError
from sertk.recipes.runner import run_stage
from sertk.recipes.stages import RecipeStage
try:
    run_stage(Path("run.sh"), RecipeStage(1, "a", ""), [], exp=Path("."), lock=0, write=print, go_on="")
except PlatformError as error:
    print(error)
"""
    done = run_without_fcntl(code)
    assert done.stdout.startswith("Recipes, which are bash scripts, work on Linux and macOS only.")
