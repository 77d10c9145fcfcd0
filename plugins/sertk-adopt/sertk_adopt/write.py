"""An adopted model as a folder: a checkpoint like any other, with the weights of its encoder inside."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from sertk.cards import Card, EncoderSpec, owner_of, versions
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Data, Experiment, Head, Use
from sertk.data.labels import LabelSet
from sertk.encoders.hf_speech import SpeechEncoder
from sertk.errors import LabelError
from sertk.files import write_json
from sertk.provenance import Provenance
from sertk.registry import REGISTRIES, encoders
from sertk.tensors import save_tensors
from sertk_adopt.contract import AdoptError, Adoption, Tensors
from sertk_adopt.strict import Sorted

NAME = "speech"
"""Of the one modality of an adopted model."""


def save(out: Path, adoption: Adoption, tensors: Sorted, notes: dict[str, Any], made: Provenance) -> Checkpoint:
    """Write the model with its encoder, whole or not at all."""
    try:
        if adoption.labels:
            LabelSet(adoption.labels)
    except LabelError as error:
        raise AdoptError(f"{error}. Give other names with --labels") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.encoder.") as temporary:
        folder = Path(temporary)
        save_tensors(folder / "model.safetensors", tensors.encoder)
        write_json(folder / "config.json", dict(adoption.config))
        write_json(folder / "preprocessor_config.json", dict(adoption.extractor))
        checkpoint = Checkpoint(
            experiment=Experiment(
                data=Data(manifest="unknown"),
                features={NAME: "recordings"},
                fusion=Use(use="adopted", **adoption.fusion),
                head=Head(attributes=list(adoption.attributes), activation="none", attribute_output=adoption.output),
            ),
            card=Card(
                name=out.name,
                labels=list(adoption.labels),
                letters="",
                ranges=dict.fromkeys(adoption.attributes, adoption.range),
                encoders={NAME: _spec(adoption, folder)},
                prior=[1 / len(adoption.labels) for _ in adoption.labels],
                metrics={},
                data_fingerprint="",
                versions=versions({"sertk-adopt": REGISTRIES["fusion"].components()["adopted"].version}),
                notes=notes,
            ),
            weights=scaled(tensors.head, adoption),
        )
        return checkpoint.save(out, made=made, encoders={NAME: folder})


def _spec(adoption: Adoption, folder: Path) -> EncoderSpec:
    """The specification of the encoder in the model's folder, built once as whoever loads it will."""
    options = {**adoption.options, "challenge_legal": False}
    encoder: SpeechEncoder = encoders.get(adoption.use)(model=str(folder), **options)
    return EncoderSpec(
        use=adoption.use,
        options={"model": f"encoders/{NAME}", **options},
        fingerprint=encoder.fingerprint,
        modality="speech",
        dim=encoder.dim,
        frames_per_second=encoder.frames_per_second,
        challenge_legal=False,
        owner=owner_of(adoption.use),
    )


def scaled(head: Tensors, adoption: Adoption) -> Tensors:
    """The head for the scale that was asked for: a linear output gives 0 to 1, so that its last map takes it up."""
    low, high = adoption.range
    if not adoption.labels:
        width = head["head.attributes.weight"].shape[1]
        head = {**head, "head.emotion.weight": torch.empty(0, width), "head.emotion.bias": torch.empty(0)}
    if adoption.output == "sigmoid" or not adoption.attributes or (low, high) == (0.0, 1.0):
        return head
    weight, bias = head["head.attributes.weight"], head["head.attributes.bias"]
    changed = {"head.attributes.weight": weight * (high - low), "head.attributes.bias": bias * (high - low) + low}
    return {**head, **changed}
