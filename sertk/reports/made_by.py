"""Which sertk made a page: the installed version, and the commit of sertk's own checkout where it runs from one."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def made_by() -> str:
    """The version of sertk as it is installed, and its commit: `sertk 0.1.0, commit 0123456789ab`."""
    commit = sertk_commit()
    return f"sertk {version('sertk')}" + (f", commit {commit}" if commit else "")


def sertk_commit() -> str | None:
    """The short commit that sertk is installed from, `+` after it when files differ.

    None unless it is installed editable from the root of a git checkout: an environment inside a user's repository,
    or a copy of sertk within one, has no commit of sertk's.
    """
    root = editable_root()
    if root is None:
        return None
    top, short, changed = (
        _git(root, *words)
        for words in (
            ("rev-parse", "--show-toplevel"),
            ("rev-parse", "--short=12", "HEAD"),
            ("status", "--porcelain", "--untracked-files=no"),
        )
    )
    if top is None or short is None or changed is None or Path(top).resolve() != root.resolve():
        return None
    return short + "+" * bool(changed)


def editable_root() -> Path | None:
    """The folder that sertk is installed from editable, as its installer noted it (PEP 610); None otherwise."""
    try:
        noted = json.loads(distribution("sertk").read_text("direct_url.json") or "{}")
        url = urlsplit(noted["url"]) if noted.get("dir_info", {}).get("editable") else None
    except (PackageNotFoundError, ValueError, KeyError, AttributeError):
        return None
    return Path(url2pathname(url.path)) if url is not None and url.scheme == "file" else None


def _git(folder: Path, *words: str) -> str | None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # set within git hooks
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, env=own)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
