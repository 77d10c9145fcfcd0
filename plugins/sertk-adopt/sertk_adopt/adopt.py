"""`sertk adopt`: a public checkpoint in, a model of sertk out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.checkpoint import Checkpoint, refuse_additions
from sertk.errors import SertkWarning
from sertk.locks import sole_writer
from sertk.outputs import refuse_collisions, refuse_foreign
from sertk.provenance import Provenance, from_here, is_current, options_as_parts
from sertk.registry import adopters
from sertk.revisions import component_parts
from sertk_adopt.contract import Adopter, AdoptError, Adoption, Asked, Public
from sertk_adopt.licence import licence_of
from sertk_adopt.made_up import least_certain
from sertk_adopt.source import named, public_of
from sertk_adopt.strict import sort_tensors
from sertk_adopt.write import save

VERB, REVISION = "adopt", 1
"""The verb, and its revision, raised when the same checkpoint would become another model."""

NEARLY_UNIFORM = 0.98
"""Mean entropy over that of equal probabilities, above which a head is suspected to have learnt nothing."""


class AdoptWarning(SertkWarning):
    """A checkpoint was adopted, but something about it should be looked at."""


@dataclass(frozen=True)
class Adopted:
    """A model that `adopt` made or found up to date. unused: tensors left out on purpose, by name, and why."""

    folder: Path
    shape: str
    revision: str | None
    labels: tuple[str, ...]
    attributes: tuple[str, ...]
    licence: str
    unused: Mapping[str, str]
    up_to_date: bool = False


def adopt(
    source: str,
    into: str | Path,
    *,
    shape: str | None = None,
    labels: tuple[str, ...] | None = None,
    range: tuple[float, float] | None = None,
    activation: str | None = None,
    pooling: str | None = None,
    lora: str | None = None,
    head: str | None = None,
    encoder: str | None = None,
    licence: str | None = None,
    force: bool = False,
) -> Adopted:
    """Make a model of sertk of a public checkpoint; every tensor is used or left out on purpose.

    Parameters
    ----------
    source
        `hf:OWNER/NAME`, `hf:OWNER/NAME@REVISION`, or a folder with config.json and safetensors weights.
    into
        The folder of the model.
    shape
        The adopter; without it the one that recognises the checkpoint.
    labels
        Classes or attributes in the order of the outputs, where the checkpoint does not name them.
    range
        The scale of attributes, which the checkpoint gives from 0 to 1.
    activation
        Of the dense layer, `tanh` or `none`, where no file says.
    pooling
        Over frames, `mean`, `max` or `sum`, where no file says.
    lora
        `merged` where the weights contain the factors of LoRA already, else `unmerged`.
    head
        `primary` or `secondary` classes, where there are both.
    encoder
        Hub id or folder with the settings of the encoder, where the checkpoint has none.
    licence
        Of the checkpoint, where its page does not say.
    force
        Adopt again what is up to date.

    Returns
    -------
    Adopted
        The model's folder, and what it predicts.

    Raises
    ------
    SertkError
        AdoptError for a checkpoint that is of no known shape or not complete, and for what only the user knows;
        EncoderError where it is not available; OutputError for a folder that something else made.
    """
    out = Path(into)
    options: dict[str, Any] = {"shape": shape, "labels": labels and list(labels), "range": range and list(range)}
    options |= {"activation": activation, "pooling": pooling, "lora": lora, "head": head}
    options |= {"encoder": encoder, "licence": licence}
    options = {key: value for key, value in options.items() if value is not None}
    public = public_of(source)
    revision = public.source.revision
    refuse_collisions([out], [public.source.folder])
    refuse_foreign(out, VERB)
    refuse_additions(out)
    made = provenance(named(source), options)
    if not force and is_current(out, made):
        return _adopted(Checkpoint.load(out), out, up_to_date=True)
    adopter = made.parts["shape"]
    adoption: Adoption = adopters.get(adopter)(public, asked_of(options))
    tensors = sort_tensors(public, adoption)
    notes = {
        "shape": adopter,
        "checkpoint": public.source.name,
        "revision": revision,
        "licence": licence or licence_of(public.source, revision),
        "left_out_tensors": dict(tensors.unused),
        "trained_on": "unknown to sertk: no leak can be seen",
        **{f"asked.{key}": value for key, value in options.items()},
    }
    with sole_writer(out):
        saved = save(out, adoption, tensors, notes, made)
    _warn(saved)
    return _adopted(saved, out)


def provenance(source: str, options: Mapping[str, Any]) -> Provenance:
    """Plan `sertk adopt`. options: as given, by name. Raises SertkError."""
    public = public_of(source)
    shape = options.get("shape") or shape_of(public)
    use = adopters.get(shape)(public, asked_of(options)).use
    parts = {"revision": str(REVISION), "shape": shape, "licence": options.get("licence") or ""}
    parts["checkpoint"] = public.source.fingerprint({}, tokenizer=False)
    parts |= options_as_parts("options", {key: value for key, value in options.items() if key != "licence"})
    parts |= component_parts([("encoder", use), ("fusion", "adopted")])
    parts["adopter"] = adopters.components()[shape].owner
    reads = [] if source.startswith("hf:") else [from_here(public.source.folder)]
    return Provenance(VERB, parts, {"source": source, "options": dict(options)}, reads)


def shape_of(public: Public) -> str:
    """The adopter that recognises a checkpoint. Raises AdoptError, saying what is in it, for none and for several."""
    known: dict[str, Adopter] = {name: adopters.get(name) for name in adopters.names()}
    found = [name for name, adopter in known.items() if adopter.recognises(public)]
    if len(found) == 1:
        return found[0]
    if found:
        raise AdoptError(f"{public.given}: could be {' or '.join(found)}: choose one with --shape")
    groups: dict[str, int] = {}
    for name in public.shapes:
        top = name.partition(".")[0]
        groups[top] = groups.get(top, 0) + 1
    what = ", ".join(f"{top} ({count})" for top, count in sorted(groups.items(), key=lambda item: item[1]))
    code = ""
    if public.config.get("auto_map"):
        code = " Its model is code of its own (`auto_map`), which sertk does not run."
    raise AdoptError(
        f"{public.given}: its head is of no known shape ({', '.join(known)}). Its tensors, by the first part of "
        f"their names: {what}.{code} docs/howto/adopt.md says how to write an adopter, about 60 lines. hf_speech "
        f"takes it as an encoder, without its head"
    )


def asked_of(options: Mapping[str, Any]) -> Asked:
    """The options that adopters read."""
    values = {key: value for key, value in options.items() if key not in ("shape", "licence")}
    values |= {key: tuple(values[key]) for key in ("labels", "range") if key in values}
    return Asked(**values)


def _warn(checkpoint: Checkpoint) -> None:
    """Warn of a head whose answers on made-up recordings are nearly uniform."""
    classes = len(checkpoint.card.labels)
    if classes and checkpoint.folder:
        share = least_certain(checkpoint.folder) / math.log(classes)
        if share > NEARLY_UNIFORM:
            message = (
                f"{checkpoint.folder}: its answers on ten made-up recordings are nearly uniform (entropy {share:.3f} "
                f"of that of chance): a head that was never trained, or lost its weights, looks like this. Score it "
                f"on a corpus before use"
            )
            warnings.warn(message, AdoptWarning, stacklevel=3)


def _adopted(checkpoint: Checkpoint, out: Path, *, up_to_date: bool = False) -> Adopted:
    card = checkpoint.card
    notes = card.notes
    return Adopted(
        folder=out,
        shape=notes["shape"],
        revision=notes["revision"],
        labels=tuple(card.labels),
        attributes=tuple(card.ranges),
        licence=notes["licence"],
        unused=notes["left_out_tensors"],
        up_to_date=up_to_date,
    )
