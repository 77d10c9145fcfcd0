"""Fresh environments. Each is a virtual environment of its own into which sertk and some plugins are installed as wheels.

Shared, to be quick and to need no network: the third-party packages (torch, pytest, hatchling, ...) of the environment
that runs the tests, as plain paths behind the fresh one's own. What is installed there in place (`pip install -e`) is
not importable through a plain path, so of sertk and its plugins only the wheels can be. A wheel is built once a session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment. plugins: those that sertk is let see, as SERTK_PLUGINS names them."""

    folder: Path
    plugins: tuple[str, ...]

    def seeing(self, *plugins: str) -> Environment:
        """The same environment, in which sertk is let see some of its plugins alone."""
        return replace(self, plugins=plugins)

    def run(self, *command: str, cwd: Path) -> str:
        """Run a program of the environment and give its output; fail with all of it."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
        given = {"PATH": path, "SERTK_PLUGINS": ",".join(self.plugins), "OMP_NUM_THREADS": "1"}
        program = [str(self.folder / "bin" / command[0])]
        if command[0] == "pytest":  # shared, so it has no program here
            program = [str(self.folder / "bin" / "python"), "-m", "pytest"]
        return checked([*program, *command[1:]], cwd, kept | given)


def checked(command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command and give its output; fail with all of it."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Path]]:
    """Give the wheels of distributions by their folders, those that are not built yet in one call of pip."""
    place = tmp_path_factory.mktemp("wheels")
    built: dict[Path, Path] = {}

    def wheels_of(*folders: Path) -> list[Path]:
        missing = [folder for folder in folders if folder not in built]
        if missing:
            checked([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(place), *map(str, missing)])
        for folder in missing:
            name = "sertk" if folder == ROOT else folder.name.replace("-", "_")
            (built[folder],) = place.glob(f"{name}-*.whl")
        return [built[folder] for folder in folders]

    return wheels_of


@pytest.fixture(scope="session")
def fresh(wheels: Callable[..., list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Make an environment with sertk and the distributions in some folders, each named as its folder."""

    def make(*folders: Path) -> Environment:
        place = tmp_path_factory.mktemp("environment")
        checked([sys.executable, "-m", "venv", "--without-pip", str(place)])
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (place / "lib" / version / "site-packages" / "shared.pth").write_text("\n".join(packages) + "\n")
        install = [*PIP, "--python", str(place / "bin" / "python"), "install", "--no-index", "--no-deps"]
        checked([*install, *map(str, wheels(ROOT, *folders))])
        return Environment(place, tuple(folder.name for folder in folders))

    return make
