"""Baselines of the Odyssey 2024 challenge: 3loi/SER-Odyssey-Baseline-WavLM-*."""

from __future__ import annotations

from typing import Any

import torch

from sertk.encoders.hf_speech import MODEL_CLASSES
from sertk_adopt.contract import AdoptError, Adoption, Asked, Public, Tensors
from sertk_adopt.shapes.common import extractor_of, names_of_outputs, scale_of, settings_of
from sertk_adopt.strict import encoder_config

ATTENTION = "fusion.streams.0.attentive"


class Odyssey:
    """Attentive statistics of the last layer, dense layers with layer norm; waveforms normalised by corpus."""

    def recognises(self, public: Public) -> bool:
        """By the names of its parts."""
        return public.has("pool_model.", "ser_model.", "ssl_model.")

    def __call__(self, public: Public, asked: Asked) -> Adoption:
        """See `sertk_adopt.contract.Adopter`."""
        asked.only(public, "odyssey", "encoder")
        base = settings_of(public, asked, str(public.config.get("ssl_type") or "microsoft/wavlm-large"))
        if base.architecture not in MODEL_CLASSES or base.architecture == "whisper":
            raise AdoptError(f"{public.given}: its encoder is a {base.architecture!r}, which is not known here")
        layers = _number(public, "classifier_hidden_layers", int)
        labels, attributes = names_of_outputs(public, asked, public.size("ser_model.out.0.weight"))
        outputs = "head.attributes" if attributes else "head.emotion"
        head = {
            "pool_model.sap_linear.weight": f"{ATTENTION}.hidden.weight",
            "pool_model.sap_linear.bias": f"{ATTENTION}.hidden.bias",
            "pool_model.attention": f"{ATTENTION}.score.weight",
            "ser_model.out.0.weight": f"{outputs}.weight",
            "ser_model.out.0.bias": f"{outputs}.bias",
        }
        for part in ("weight", "bias"):
            head |= {f"ser_model.fc.{n}.0.{part}": f"fusion.dense.{n}.{part}" for n in range(layers)}
            head |= {f"ser_model.fc.{n}.1.{part}": f"fusion.norms.{n}.{part}" for n in range(layers)}
        return Adoption(
            config=encoder_config(base.config, base.architecture),
            extractor=extractor_of(base, public.given),
            prefix="ssl_model.",
            head=head,
            labels=labels,
            attributes=attributes,
            range=scale_of(public, asked, attributes),
            fusion={
                "pooling": "attentive_statistics",
                "widths": [public.size(f"ser_model.fc.{n}.0.weight") for n in range(layers)],
                "activation": "relu",
                "norm": True,
            },
            use="corpus_normalised",
            options={
                "layers": "last",
                "mean": _number(public, "mean", float),
                "deviation": _number(public, "std", float),
            },
            finish=_attention,
        )


def _attention(head: Tensors) -> Tensors:
    """The attention is a (D, 1) matrix without a bias, which the softmax over frames would ignore."""
    score = f"{ATTENTION}.score"
    return {**head, f"{score}.weight": head[f"{score}.weight"].T.contiguous(), f"{score}.bias": torch.zeros(1)}


def _number(public: Public, key: str, kind: type) -> Any:
    value = public.config.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and not 1 <= value <= 100):
        raise AdoptError(f"{public.given}: config.json should have a number {key!r}, got {value!r}")
    return kind(value)


odyssey = Odyssey()
