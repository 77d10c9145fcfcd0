"""`sertk convert`: pickled weights to safetensors, without trusting them.

A pickle is a program. It is read in a process of its own by torch with `weights_only`, which runs nothing but what
builds tensors and plain containers, and refuses all else; the process has no tokens in its environment, and what it
gives is written as safetensors, which holds nothing that could run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn_of_edited
from sertk.errors import EncoderError, SertkError
from sertk.files import atomic_path, sha256_file
from sertk.hub import PICKLED
from sertk.outputs import making_in, refuse_foreign
from sertk.pretrained import SETTINGS
from sertk.provenance import Provenance, from_here, is_current
from sertk_adopt.source import HUB, named

VERB, REVISION = "convert", 1
WEIGHTS = "model.safetensors"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""Variables of the environment that the process has; no token of any service is among them."""


class ConvertError(SertkError):
    """Pickled weights that cannot be converted."""


@dataclass(frozen=True)
class Converted:
    """A folder that was written or found up to date. left_out: what else was in the files, by name, and its type."""

    folder: Path
    tensors: int = 0
    left_out: Mapping[str, str] | None = None
    up_to_date: bool = False


def convert(source: str, into: str | Path, *, force: bool = False) -> Converted:
    """Write the tensors of pickled weights as safetensors, with the other files of the checkpoint.

    Parameters
    ----------
    source
        `hf:OWNER/NAME`, `hf:OWNER/NAME@REVISION`, or a folder with pickled weights (`*.bin`, `*.pt`, `*.ckpt`, ...).
    into
        The folder to write.
    force
        Convert again what is up to date.

    Returns
    -------
    Converted
        How many tensors there are, and what was left out.

    Raises
    ------
    SertkError
        ConvertError for files with anything but tensors and plain containers, or none; EncoderError where the hub
        does not give them; OutputError for a folder that something else made.
    """
    out, folder = Path(into), folder_of(source)
    refuse_foreign(out, VERB)
    made = _provenance(folder, source)
    if not force and is_current(out, made):
        return Converted(out, up_to_date=True)
    settings = _settings(folder)
    with making_in(out, made, [WEIGHTS, *(path.name for path in settings)]) as edited:
        with atomic_path(out / WEIGHTS) as temporary:
            found = _run(pickled(folder), temporary)
        for path in settings:
            shutil.copyfile(path, out / path.name)
    warn_of_edited(edited)
    return Converted(out, found["tensors"], found["left_out"])


def provenance(source: str) -> Provenance:
    """Plan `sertk convert`."""
    return _provenance(folder_of(source), source)


def folder_of(source: str) -> Path:
    """The folder of a checkpoint, downloaded with its pickled weights if it is on the hub."""
    match = HUB.fullmatch(source)
    if match is None:
        if not Path(source).is_dir():
            raise ConvertError(f"there is no folder {source}: give one, or hf:OWNER/NAME")
        return Path(source)
    import huggingface_hub

    wanted = [*SETTINGS, "README.md", *(f"*{ending}" for ending in PICKLED)]
    try:
        found = huggingface_hub.snapshot_download(match["id"], revision=match["revision"], allow_patterns=wanted)
    except Exception as error:  # its own errors, of requests or httpx by version, OSError
        raise EncoderError(f"{source}: not in the hub's cache, and the hub did not give it: {error}") from None
    return Path(found)


def pickled(folder: Path) -> list[Path]:
    """The files with pickled weights: all shards of a model, or the only file there is. Raises ConvertError."""
    files = sorted(path for path in folder.iterdir() if path.suffix in PICKLED and path.is_file())
    weights = [path for path in files if path.name.startswith("pytorch_model")] or files
    if not weights:
        raise ConvertError(f"{folder}: has no pickled weights ({', '.join(PICKLED)})")
    if len(weights) > 1 and not all("-of-" in path.name for path in weights):
        names = ", ".join(path.name for path in weights)
        raise ConvertError(
            f"{folder}: which of {names} has the weights? Put it alone into a folder with the settings"
        )
    return weights


def _settings(folder: Path) -> list[Path]:
    found = {path for kind in (*SETTINGS, "README.md") for path in folder.glob(kind) if path.is_file()}
    return sorted(path for path in found if not path.name.endswith(".index.json") and path.name != "provenance.json")


def _provenance(folder: Path, source: str) -> Provenance:
    parts = {"revision": str(REVISION)}
    parts |= {path.name: sha256_file(path) for path in (*pickled(folder), *_settings(folder))}
    reads = [] if source.startswith("hf:") else [from_here(folder)]
    return Provenance(VERB, parts, {"source": named(source)}, reads)


def _run(files: list[Path], out: Path) -> dict[str, Any]:
    """Read the files in a process of its own."""
    command = [sys.executable, "-I", "-m", "sertk_adopt.unpickle", str(out), *map(str, files)]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        found = {"error": f"its process ended with {done.returncode}: {done.stderr.strip()[-300:]}"}
    if "error" in found:
        raise ConvertError(f"{files[0]}: {found['error']}")
    return dict(found)
