"""Pretrained checkpoints, by hub id or folder: found, checked, told apart by content, loaded without pickle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from sertk.compat import import_transformers, without_bars
from sertk.errors import EncoderError, WeightsNeeded
from sertk.files import parse_json
from sertk.pretrained import SETTINGS, Pretrained

if TYPE_CHECKING:
    from torch import nn

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["auto", "eager", "sdpa"]

WANTED = (*SETTINGS, "model.safetensors", "model-*-of-*.safetensors")
"""The files of a hub repository that are downloaded: no pickled weights, no second copy in another precision."""

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

_ONLY_OPTIONS = ContextVar("only options", default=False)


@contextmanager
def without_weights() -> Iterator[None]:
    """Within it nothing is downloaded and no weights are loaded: `before_weights` ends a build that would."""
    before = _ONLY_OPTIONS.set(True)
    try:
        yield
    finally:
        _ONLY_OPTIONS.reset(before)


def before_weights() -> None:
    """Call it before weights are loaded or fetched. Raises WeightsNeeded where only options are checked."""
    if _ONLY_OPTIONS.get():
        raise WeightsNeeded("weights are needed to go on")


def find_checkpoint(model: str, *, revision: str | None = None, weights: bool = True) -> Pretrained:
    """Find a checkpoint: a folder as it is; a hub id in the folder of models, in the hub's cache, or on the hub.

    The folder of models, `$SERTK_MODELS`, has it as owner/name or name; `revision` is for the hub alone. Without
    `weights` its settings alone are wanted.

    The token is the one that the hub's own library finds (HF_TOKEN, HUGGING_FACE_HUB_TOKEN, `hf auth login`). No
    option names it or its variable: options come from cards and recipes of strangers, who could send any secret of
    the environment to the hub. Raises EncoderError, with the remedy, for a checkpoint that is not there, has no
    safetensors weights or no config.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return check_folder(folder, folder.resolve().name, None, weights=weights)
    if Path(model).is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise EncoderError(f"{model}: there is no such folder. Give one with a checkpoint, or a hub id (owner/name)")
    if (models := models_folder()) is not None:
        for place in (models / model, models / Path(model).name):
            if place.is_dir():
                return check_folder(place, model, weights=weights)
    before_weights()
    snapshot = _download(model, revision, WANTED if weights else SETTINGS)
    return check_folder(snapshot, model, snapshot.name, weights=weights)


def is_here(model: str, *, revision: str | None = None) -> bool:
    """Whether a checkpoint can be had without a download, and what reads it is installed."""
    if find_spec("transformers") is None or find_spec("huggingface_hub") is None:
        return False
    try:
        with without_weights():
            find_checkpoint(model, revision=revision)
    except WeightsNeeded:  # neither a folder nor in the folder of models
        try:
            check_folder(
                Path(_import_hub().snapshot_download(model, revision=revision, local_files_only=True)), model
            )
        except Exception:  # of the hub's own many kinds; whatever it is, it is not here
            return False
    except EncoderError:
        return False
    return True


def models_folder() -> Path | None:
    """The folder that hub ids are looked up in first, `$SERTK_MODELS`. Raises EncoderError if it is no folder."""
    given = os.environ.get("SERTK_MODELS")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise EncoderError(f"SERTK_MODELS: there is no folder {given}: give one with models, as owner/name or name")
    return folder


def load_model(
    checkpoint: Pretrained, model_class: str, *, dtype: Dtype = "float32", attention: Attention = "auto"
) -> nn.Module:
    """Load a transformers class from a checkpoint: frozen, in evaluation mode. Raises EncoderError if it cannot.

    Weights that are missing are an error: transformers would draw them at random and go on.
    """
    before_weights()
    import torch

    transformers = import_transformers()
    given: dict[str, Any] = {"dtype": getattr(torch, dtype), "trust_remote_code": False, "use_safetensors": True}
    if attention != "auto":
        given["attn_implementation"] = attention
    with reading(checkpoint.folder, "model"), without_bars(transformers):
        model, info = attrgetter(model_class)(transformers).from_pretrained(
            checkpoint.folder, local_files_only=True, output_loading_info=True, **given
        )
    missing = sorted(key for key in info["missing_keys"] if not re.search(r"pooler|masked_spec_embed", key))
    if missing:
        raise EncoderError(
            f"{checkpoint.folder}: {len(missing)} weights of a {checkpoint.architecture} are missing, the first is "
            f"{missing[0]}: not a complete checkpoint of this architecture"
        )
    model.requires_grad_(False)
    return model.eval()  # type: ignore[no-any-return]


def load_part(checkpoint: Pretrained, auto_class: str, what: str, needs: tuple[str, ...]) -> Any:
    """Load a tokenizer or a feature extractor. needs: files of which the folder must have one."""
    if not any((checkpoint.folder / name).is_file() for name in needs):
        raise EncoderError(f"{checkpoint.folder}: there is no {what} (one of {', '.join(needs)}) beside the weights")
    with reading(checkpoint.folder, what):
        return getattr(import_transformers(), auto_class).from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=False
        )


@contextmanager
def reading(folder: Path, what: str) -> Iterator[None]:
    """Turn whatever transformers raises while it reads a file of a checkpoint into an EncoderError."""
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [""]
        raise EncoderError(f"{folder}: the {what} cannot be loaded: {type(error).__name__}: {reason[0]}") from error


def check_folder(folder: Path, name: str, revision: str | None = None, *, weights: bool = True) -> Pretrained:
    """What a folder holds. Raises EncoderError for one without a config, or without weights that can be read."""
    path = folder / "config.json"
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{folder}: there is no config.json: not a folder written by save_pretrained") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise EncoderError(f"{path}: should be an object: copy it again")
    return Pretrained(folder, name, revision, config, _weights(folder, name, revision) if weights else ())


def _weights(folder: Path, name: str, revision: str | None) -> tuple[Path, ...]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return (single,)
    if index.is_file():
        try:
            shards = sorted({str(name) for name in parse_json(index.read_bytes())["weight_map"].values()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise EncoderError(f"{index}: should have a weight_map of tensors to shards: copy it again") from None
        for shard in shards:
            if Path(shard).name != shard or not (folder / shard).is_file():
                raise EncoderError(
                    f"{folder}: {index.name} names the shard {shard!r}, which is not there: copy it again"
                )
        return tuple(folder / shard for shard in shards)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
    source = f"hf:{name}@{revision}" if revision else str(folder)
    convert = (
        f"Convert them once with `sertk convert {source} --into {Path(name).name}-safetensors` (sertk-adopt), and "
        f"give that folder"
    )
    if pickled:
        raise EncoderError(f"{folder}: the weights {pickled[0]} are pickled and can run any code. {convert}")
    if revision:
        raise EncoderError(
            f"{name}: has no model.safetensors at this revision. If its weights are pickled, look for a `revision` "
            f"that holds safetensors (often refs/pr/1). {convert}"
        )
    raise EncoderError(f"{folder}: has a config but no weights (model.safetensors): copy or save them there")


def _download(model: str, revision: str | None, wanted: Sequence[str]) -> Path:
    hub = _import_hub()
    try:
        return Path(hub.snapshot_download(model, revision=revision, allow_patterns=list(wanted)))
    except Exception as error:  # its own errors, of requests or httpx by version, OSError, ValueError for a bad id
        at = f" at revision {revision!r}" if revision else ""
        models = models_folder()
        own = "" if models is None else f"not in the folder of models {models} (as {model} or {Path(model).name}), "
        raise EncoderError(
            f"{model}{at}: {own}not in this machine's hub cache, and the hub did not give it "
            f"({type(error).__name__}). Either, with a connection and access rights: hf download {model}"
            f"{' --revision ' + revision if revision else ''}; or copy the checkpoint to a folder and give the "
            f"folder as `model`, or to FOLDER/{model} and give --models FOLDER (or set SERTK_MODELS). "
            f"Check the spelling; gated and private ones need a token in HF_TOKEN."
        ) from None


def checkpoints_of(models: Path) -> list[tuple[str, Path]]:
    """The checkpoints in a folder of models, by owner/name or name, with their folders."""
    found = sorted({*models.glob("*/config.json"), *models.glob("*/*/config.json")})
    return [(path.parent.relative_to(models).as_posix(), path.parent) for path in found]


def cached_checkpoints() -> list[tuple[str, Path]]:
    """The checkpoints in the hub's cache, by id, with the folder of the revision that was used last."""
    hub = _import_hub()
    try:
        found = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE)
    except hub.errors.CacheNotFound:
        return []
    return sorted(
        (repo.repo_id, max(repo.revisions, key=lambda revision: revision.last_modified).snapshot_path)
        for repo in found.repos
        if repo.repo_type == "model" and repo.revisions
    )


def _import_hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise EncoderError(f"huggingface_hub cannot be imported ({error}): pip install 'sertk[hf]'") from None
    return huggingface_hub
