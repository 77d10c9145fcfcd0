"""Fresh environments. Each is a virtual environment of its own into which sertk and one plugin are installed as wheels.

Shared, to be quick and to need no network: the third-party packages (torch, pytest, hatchling, ...) of the environment
that runs the tests, as a plain path behind the fresh one's own. What is installed there in place (`pip install -e`) is
not importable through a plain path, so of sertk and its plugins only the wheels can be.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment, where SERTK_PLUGINS names what was installed beside sertk."""

    folder: Path
    plugins: tuple[str, ...]

    def run(self, *command: str, cwd: Path) -> str:
        """Run a program of the environment and give its output; fail with all of it."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
        given = {"PATH": path, "SERTK_PLUGINS": ",".join(self.plugins), "OMP_NUM_THREADS": "1"}
        program = [str(self.folder / "bin" / command[0])]
        if command[0] == "pytest":  # shared, so it has no program here
            program = [str(self.folder / "bin" / "python"), "-m", "pytest"]
        done = subprocess.run(
            [*program, *command[1:]], cwd=cwd, env=kept | given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def install(folder: Path, *distributions: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-index"]
    command = [*pip, "--no-deps", "--no-build-isolation", *map(str, distributions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sertk as a wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("sertk-*.whl"))


@pytest.fixture(scope="session")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Make an environment with sertk and the distributions in some folders, each named as its folder."""

    def make(*folders: Path) -> Environment:
        place = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        shared = place / "lib" / version / "site-packages" / "shared.pth"
        shared.write_text("".join(f"{path}\n" for path in sys.path if Path(path).name == "site-packages"))
        install(place, wheel, *folders)
        return Environment(place, tuple(folder.name for folder in folders))

    return make
