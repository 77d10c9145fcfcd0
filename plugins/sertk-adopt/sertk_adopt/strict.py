"""Every tensor of a public checkpoint is used or left out on purpose, and none is left to chance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sertk.compat import import_transformers
from sertk.encoders.hf_speech import MODEL_CLASSES, WHISPER_ENCODER
from sertk.errors import EncoderError
from sertk.hub import reading
from sertk.models.fitting import at_most
from sertk.pretrained import Pretrained
from sertk_adopt.contract import AdoptError, Adoption, Public, Tensors

SHOWN = 6
ALL_ENCODERS = (
    (r"(.*)\.weight_g", r"\1.parametrizations.weight.original0"),
    (r"(.*)\.weight_v", r"\1.parametrizations.weight.original1"),
)
"""Weight normalisation was saved under these names up to torch 2.1."""

MASKING = r"(.*\.)?masked_spec_embed"
"""The embedding of masked frames in training; transformers keeps it in every model."""


@dataclass(frozen=True)
class Sorted:
    """What became of the tensors. encoder, head: by their new names. unused: by public name, why."""

    encoder: Tensors
    head: Tensors
    unused: Mapping[str, str]


def shapes_of(source: Pretrained) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors in a checkpoint's files, by name. Raises EncoderError for a damaged file."""
    found: dict[str, tuple[int, ...]] = {}
    for path in source.weights:
        try:
            with safe_open(path, framework="pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise EncoderError(f"{path}: cannot be loaded as safetensors: {error}. Copy it again") from None
    return found


def sort_tensors(public: Public, adoption: Adoption) -> Sorted:
    """Read all tensors and give them their new names. Raises AdoptError naming each that is left over or missing."""
    unused, renamed = {}, {}
    of_encoder: dict[str, str] = {}
    strange: list[str] = []
    for name in public.shapes:
        why = next((why for pattern, why in adoption.unused.items() if re.fullmatch(pattern, name)), None)
        if why is not None or re.fullmatch(MASKING, name):
            unused[name] = why or "replaces masked frames in training"
        elif name in adoption.head:
            renamed[name] = adoption.head[name]
        elif name.startswith(adoption.prefix):
            of_encoder[_renamed(name.removeprefix(adoption.prefix), adoption.renames)] = name
        else:
            strange.append(name)
    tensors = _read(public.source, [*renamed, *of_encoder.values()])
    encoder = adoption.finish_encoder({new: tensors[name] for new, name in of_encoder.items()})
    expected = encoder_shapes(adoption.config, tensors=len(public.shapes))
    strange += [of_encoder.get(name, name) for name in encoder if name not in expected]
    missing = [f"{adoption.prefix}{name}" for name in expected if name not in encoder]
    missing += [name for name in adoption.head if name not in public.shapes]
    if strange or missing:
        raise AdoptError(f"{public.given}: not adopted. {_refusal(strange, missing)}")
    for name, shape in expected.items():
        if tuple(encoder[name].shape) != shape:
            raise AdoptError(
                f"{public.given}: {adoption.prefix}{name} is {tuple(encoder[name].shape)}, by config.json it should "
                f"be {shape}"
            )
    head = adoption.finish({new: tensors[name] for name, new in renamed.items()})
    bad = [name for name, tensor in {**encoder, **head}.items() if not tensor.isfinite().all()]
    if bad:
        raise AdoptError(f"{public.given}: tensors have values that are not finite: {_some(bad)}")
    return Sorted(encoder, {name: tensor.float() for name, tensor in head.items()}, unused)


def encoder_shapes(config: Mapping[str, Any], *, tensors: int) -> dict[str, tuple[int, ...]]:
    """The tensors that an encoder must have, by its configuration: built on torch's meta device, without content.

    tensors: how many there are. Raises EncoderError for a configuration of many more.
    """
    transformers = import_transformers()
    with reading_config(config), torch.device("meta"), at_most(tensors):
        settings = transformers.AutoConfig.for_model(**{k: v for k, v in config.items() if k != "architectures"})
        if config["model_type"] == "whisper":
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            model: nn.Module = WhisperEncoder(settings)
        else:
            model = getattr(transformers, MODEL_CLASSES[config["model_type"]])(settings)
    return {n: tuple(t.shape) for n, t in model.state_dict().items() if not re.fullmatch(MASKING, n)}


def reading_config(config: Mapping[str, Any]) -> Any:
    """Turn what transformers raises for settings that make no model into an EncoderError."""
    return reading(Path(f"{config['model_type']}, by config.json"), "configuration")


def encoder_config(config: Mapping[str, Any], architecture: str) -> dict[str, Any]:
    """The configuration of the encoder alone: without what is of the head, of saving, and of code of its own."""
    of_head = {"id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "pooling_mode", "auto_map"}
    of_head |= {"use_weighted_layer_sum", "classifier_proj_size", "_name_or_path", "torch_dtype", "dtype"}
    of_head |= {"transformers_version", "architectures"}
    kept = {key: value for key, value in config.items() if key not in of_head and value is not None}
    name = WHISPER_ENCODER if architecture == "whisper" else MODEL_CLASSES[architecture]
    return {**kept, "model_type": architecture, "architectures": [name]}


def _renamed(name: str, renames: Sequence[tuple[str, str]]) -> str:
    for pattern, becomes in (*renames, *ALL_ENCODERS):
        if match := re.fullmatch(pattern, name):
            return match.expand(becomes)
    return name


def _read(source: Pretrained, names: Iterable[str]) -> Tensors:
    wanted, found = set(names), {}
    for path in source.weights:
        with safe_open(path, framework="pt") as file:
            for name in wanted & set(file.keys()):
                found[name] = file.get_tensor(name)
    return found


def _refusal(strange: Sequence[str], missing: Sequence[str]) -> str:
    parts = []
    if strange:
        parts.append(f"Of its tensors, nothing would use {_some(strange)}.")
    if missing:
        parts.append(f"Tensors are missing, and would be left to chance: {_some(missing)}.")
    return f"{' '.join(parts)} If it is a head of another shape, write an adopter for it (docs/howto/adopt.md)."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more
