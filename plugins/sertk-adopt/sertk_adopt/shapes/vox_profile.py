"""Vox-Profile: tiantiaf/wavlm-large-categorical-emotion and its relatives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import torch

from sertk_adopt.contract import AdoptError, Adoption, Asked, Public, Tensors
from sertk_adopt.shapes.common import extractor_of, names_of_outputs, plain, scale_of, settings_of
from sertk_adopt.strict import encoder_config

MODELS = {"wavlm_large": "microsoft/wavlm-large", "whisper_large": "openai/whisper-large-v3"}
LABELS = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise", "Other")
"""The nine classes, in the order that its authors publish; config.json does not name them."""

ATTRIBUTES = ("arousal", "valence", "dominance")
HEADS = {"primary": "emotion_layer", "secondary": "detailed_out_layer"}
ALPHA = 1.0
"""Of loralib, where nothing else is set: the factors count alpha / rank."""

FRAMES_A_SECOND = 50


class VoxProfile:
    """Layer weights, pointwise convolutions, mean over time; a hidden layer for each of classes and attributes."""

    def recognises(self, public: Public) -> bool:
        """By the convolutions and the heads."""
        return public.has("model_seq.", "detailed_out_layer.", "emotion_layer.", "backbone_model.")

    def __call__(self, public: Public, asked: Asked) -> Adoption:
        """See `sertk_adopt.contract.Adopter`."""
        asked.only(public, "vox_profile", "encoder", "lora", "head")
        kind = str(public.config.get("pretrain_model"))
        base = settings_of(public, asked, MODELS.get(kind, kind))
        whisper = base.architecture == "whisper"
        prefix = "backbone_model.encoder." if whisper else "backbone_model."
        config = encoder_config(base.config, base.architecture)
        extractor = extractor_of(base, public.given)
        unused: dict[str, str] = {}
        fusion: dict[str, object] = {"frame_widths": [public.size(f"model_seq.{n}.weight") for n in (0, 3, 6)]}
        if whisper:
            positions = public.size("backbone_model.encoder.embed_positions.weight")
            config["max_source_positions"] = positions
            seconds = positions // FRAMES_A_SECOND
            extractor |= {"chunk_length": seconds, "n_samples": seconds * 16_000, "nb_max_frames": seconds * 100}
            unused = {
                r"backbone_model\.decoder\..*": "the decoder, which is not run",
                "embed_positions": "a copy of the encoder's positions",
                "weights": "layer weights, of which its code takes the last layer instead",
            }
        else:
            fusion["input_layers"] = public.size("weights")
        classes, labels = _classes(public, asked)
        attributes = tuple(name for name in ATTRIBUTES if public.has(f"{name}_layer."))
        chosen = {**({classes: "emotion"} if classes else {}), **{f"{name}_layer": name for name in attributes}}
        for layer in HEADS.values():
            if layer != classes and public.has(f"{layer}."):
                unused[rf"{layer}\.[02]\.(weight|bias)"] = "the other head of classes (--head)"
        fusion |= {"widths": [sum(public.size(f"{layer}.0.weight") for layer in chosen)], "activation": "relu"}
        head = {} if whisper else {"weights": "fusion.inputs.mixers.0.scores"}
        for part in ("weight", "bias"):
            head |= {f"model_seq.{n}.{part}": f"fusion.streams.0.frames.{n // 3}.{part}" for n in (0, 3, 6)}
            head |= {f"{layer}.{n}.{part}": f"{name}.{n}.{part}" for layer, name in chosen.items() for n in (0, 2)}
        factors = any(".lora_" in name for name in public.shapes)
        return Adoption(
            config=config,
            extractor=extractor,
            prefix=prefix,
            head=head,
            labels=labels,
            attributes=attributes,
            range=scale_of(public, asked, attributes),
            fusion=fusion,
            options={"layers": "last" if whisper else "all"},
            output="sigmoid",
            unused=unused | (_merged(public, asked) if factors else {}),
            finish=partial(_side_by_side, classes=bool(classes), attributes=attributes),
            finish_encoder=partial(merge, given=public.given),
        )


def _classes(public: Public, asked: Asked) -> tuple[str | None, tuple[str, ...]]:
    """The layer that gives the classes, and their names."""
    layer = HEADS[asked.head or "primary"]
    if not public.has(f"{layer}."):
        if asked.head:
            raise AdoptError(f"{public.given}: has no {layer}, so no {asked.head} classes")
        return None, ()
    count = public.size(f"{layer}.2.weight")
    if layer == HEADS["primary"] and count == len(LABELS) and not asked.labels:
        return layer, tuple(map(plain, LABELS))
    return layer, names_of_outputs(public, asked, count)[0]


def _merged(public: Public, asked: Asked) -> dict[str, str]:
    """The factors of LoRA as unused tensors, where the weights contain them."""
    if asked.lora is None:
        raise AdoptError(
            f"{public.given}: has factors of LoRA (lora_A, lora_B), and no file says whether its weights contain "
            f"them already: loralib merges them in evaluation mode. Saved after .eval() they are merged, after "
            f".train() not: --lora merged or unmerged; score both, and take the better one"
        )
    return {r".*\.lora_[AB]": "already in the weights (--lora merged)"} if asked.lora == "merged" else {}


def merge(encoder: Tensors, *, given: str) -> Tensors:
    """Add what factors of LoRA there are to the weights: W + B A alpha / rank."""
    merged = {name: tensor for name, tensor in encoder.items() if not re.search(r"\.lora_[AB]$", name)}
    for name in encoder:
        stem, ending = name.rpartition(".")[::2]
        if ending not in ("lora_A", "lora_B"):
            continue
        factors = [encoder.get(f"{stem}.{each}") for each in ("lora_B", "lora_A")]
        weight = encoder.get(f"{stem}.weight")
        if factors[0] is None or factors[1] is None or weight is None:
            raise AdoptError(f"{given}: {name} needs lora_A, lora_B and weight beside it: one is missing")
        if ending == "lora_A":
            product = factors[0].float() @ factors[1].float()
            merged[f"{stem}.weight"] = weight.float() + product * (ALPHA / len(factors[1]))
    return merged


def _side_by_side(head: Tensors, *, classes: bool, attributes: Sequence[str]) -> Tensors:
    """Hidden layers of all heads as one, and last layers that read their own part of it; convolutions as matrices."""
    names = [*(["emotion"] if classes else []), *attributes]
    parts = tuple(f"{name}." for name in names)
    found = {name: tensor for name, tensor in head.items() if not name.startswith(parts)}
    found = {name: tensor.squeeze(-1) if ".frames." in name else tensor for name, tensor in found.items()}
    for part in ("weight", "bias"):
        found[f"fusion.dense.0.{part}"] = torch.cat([head[f"{name}.0.{part}"].float() for name in names])
    widths = [len(head[f"{name}.0.weight"]) for name in names]
    starts = dict(zip(names, [sum(widths[:n]) for n in range(len(names))], strict=True))
    for key, group in (("emotion", ["emotion"] if classes else []), ("attributes", [*attributes])):
        if group:
            rows = []
            for name in group:
                last = head[f"{name}.2.weight"].float()  # (outputs, own width)
                row = last.new_zeros(len(last), sum(widths))
                row[:, starts[name] : starts[name] + last.shape[1]] = last
                rows.append(row)
            found[f"head.{key}.weight"] = torch.cat(rows)
            found[f"head.{key}.bias"] = torch.cat([head[f"{name}.2.bias"].float() for name in group])
    return found


vox_profile = VoxProfile()
