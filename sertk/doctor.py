"""What is installed, what is ready, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sertk import __version__

SHOWN = ("torch", "torchaudio", "transformers", "huggingface-hub", "safetensors", "numpy", "soundfile", "soxr")
HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Finding:
    """One line of the report. state: `ok`, `missing` (optional, not installed) or `trouble` (needs attention)."""

    part: str
    state: str
    text: str


def diagnose(*, offline: bool = False) -> list[Finding]:
    """Look at what sertk needs: versions, devices, disks, the hub, extras, components and cached checkpoints.

    Parameters
    ----------
    offline
        Do not check whether the hub can be reached.
    """
    parts = (_versions(), _device(), _disk(), _hub(offline), _extras(), _components(), _models(), _checkpoints())
    return [finding for part in parts for finding in part]


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("sertk", "ok", __version__)
    for name in SHOWN:
        version = _version(name)
        if version:
            yield Finding(name, "ok", version)
    from sertk.compat import import_torchaudio, torchaudio_remedied
    from sertk.errors import EncoderError

    try:
        import_torchaudio()
    except EncoderError as error:
        yield Finding("torchaudio", "trouble", str(error))
        return
    if torchaudio_remedied():
        yield Finding(
            "torchaudio remedy",
            "ok",
            "in use: its compiled extension is for another torch and is left out. Only forced alignment and the "
            "RNN-T loss are missing, which sertk does not use",
        )


def _device() -> Iterator[Finding]:
    import torch

    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        bfloat16 = "bfloat16" if torch.cuda.is_bf16_supported() else "float16 only"
        yield Finding(f"cuda:{index}", "ok", f"{name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free, {bfloat16}")
    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is a CPU build"
        yield Finding("gpu", "missing", f"none in reach ({built}): everything runs on the CPU, more slowly")
    yield Finding("cpu", "ok", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")


def _disk() -> Iterator[Finding]:
    for what, folder in (("disk here", Path.cwd()), ("disk of the hub cache", _hub_cache())):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        usage = shutil.disk_usage(there)
        state = "ok" if usage.free > 10e9 else "trouble"
        hint = "" if state == "ok" else ": features of a large encoder take some 0.4 GB per hour of speech in float16"
        yield Finding(what, state, f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free{hint}")


def _hub(offline: bool) -> Iterator[Finding]:
    set_here = any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    token = "a token is set" if set_here else "no HF_TOKEN is set (gated checkpoints need one)"
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        yield Finding("hub", "missing", f"not asked (offline): only what is in the cache or in folders; {token}")
        return
    try:
        with urlopen(Request(HUB, method="HEAD"), timeout=5):
            yield Finding("hub", "ok", f"{HUB} answers; {token}")
    except HTTPError as error:
        yield Finding("hub", "ok", f"{HUB} answers with status {error.code}; {token}")
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        yield Finding("hub", "missing", f"{HUB} cannot be reached ({reason}): copy checkpoints to folders; {token}")


def _extras() -> Iterator[Finding]:
    """Each extra of sertk: installed, or what to type."""
    lacking: dict[str, list[str]] = {}
    for requirement in metadata.requires("sertk") or []:
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if name and extra:
            missing = lacking.setdefault(extra[1], [])
            if _version(name[0]) is None:
                missing.append(name[0])
    for wanted, absent in lacking.items():
        text = f"lacks {', '.join(absent)}: pip install 'sertk[{wanted}]'" if absent else "installed"
        yield Finding(f"extra {wanted}", "missing" if absent else "ok", text)


def _components() -> Iterator[Finding]:
    """Each encoder and transcriber: whether its module loads here."""
    from sertk.errors import RegistryError
    from sertk.registry import encoders, transcribers

    for registry in (encoders, transcribers):
        for name, component in registry.components().items():
            try:
                registry.get(name)
            except RegistryError as error:
                yield Finding(f"{registry.kind} {name}", "trouble", str(error))
                continue
            needs = name in ("hf_speech", "hf_text", "whisper") and _version("transformers") is None
            text = f"of {component.owner}" + (": needs pip install 'sertk[hf]'" if needs else "")
            yield Finding(f"{registry.kind} {name}", "missing" if needs else "ok", text)


def _models() -> Iterator[Finding]:
    """The folder that hub ids are looked up in first, and what is in it."""
    from sertk.errors import EncoderError
    from sertk.hub import checkpoints_of, models_folder

    try:
        folder = models_folder()
    except EncoderError as error:
        yield Finding("models", "trouble", str(error))
        return
    if folder is None:
        yield Finding("models", "missing", "no folder of models: SERTK_MODELS or --models FOLDER names one")
        return
    found = checkpoints_of(folder)
    yield Finding("models", "ok" if found else "missing", f"{folder}: {len(found)} models, looked up before the hub")
    for name, place in found:
        yield _ready(f"model {name}", place, name)


def _ready(part: str, folder: Path, name: str) -> Finding:
    """Whether a checkpoint can be loaded without a connection."""
    from sertk.errors import EncoderError
    from sertk.hub import check_folder

    try:
        return Finding(part, "ok", f"{check_folder(folder, name).architecture}, ready offline")
    except EncoderError as error:
        return Finding(part, "missing", str(error))


def _checkpoints() -> Iterator[Finding]:
    """Each checkpoint of the hub's cache: whether it is ready without a connection."""
    if _version("huggingface-hub") is None:
        return
    from sertk.hub import cached_checkpoints

    count = 0
    for model, folder in cached_checkpoints():
        count += 1
        yield _ready(f"checkpoint {model}", folder, model)
    if not count:
        text = "none in the hub cache: `hf download OWNER/NAME`, or give folders as `model`"
        yield Finding("checkpoints", "missing", text)


def _hub_cache() -> Path:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
