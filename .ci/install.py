#!/usr/bin/env python3
"""Install the wheels of a folder on each supported Python that this machine has, in one command each, and use them.

Ends with 1 where an installation or a check fails. Needs a package index for the dependencies.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).resolve().parents[1]
USE = """
import sertk
from sertk.registry import REGISTRIES
for registry in REGISTRIES.values():
    for name in registry.names():
        registry.get(name)
print(sertk.__version__, sum(len(registry.names()) for registry in REGISTRIES.values()), "components load")
"""


def main() -> int:
    """Try every Python; give 1 where one fails or none is there."""
    wheels = Path(sys.argv[1]).resolve()
    tried = [tried for version in PYTHONS if (tried := attempt(version, wheels)) is not None]
    return int(not tried or not all(tried))


def attempt(version: str, wheels: Path) -> bool | None:
    """Install and use the wheels on one Python; None where the machine does not have it."""
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        print(f"Python {version}: not on this machine", flush=True)
        return None
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bin = folder / "env" / "bin"
        commands = [
            [python, "-m", "venv", str(folder / "env")],
            [str(bin / "pip"), "install", "-qq", "--find-links", str(wheels), "sertk[all]"],
            [str(bin / "python"), "-c", USE],
            [str(bin / "sertk"), "list"],
        ]
        for command in commands:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"Python {version}: {' '.join(command)}\n{done.stdout}{done.stderr}", flush=True)
                return False
            if command[1] == "-c":
                print(f"Python {version}: {done.stdout.strip()}", flush=True)
    print(f"Python {version}: installed and used in {time.monotonic() - begun:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
