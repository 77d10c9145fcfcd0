"""Encoders with the stores that take their frames, as the verb's files and folders name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sertk import registry
from sertk.cards import is_checkpoint
from sertk.config.build import build
from sertk.config.files import load_encoder_file
from sertk.config.schema import EncoderFile, Use
from sertk.contracts import Encoder
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.checkpoint import CheckpointEncoder
from sertk.encoders.reads import reads_recordings
from sertk.encoders.tree import ModelTree
from sertk.extraction import Extraction
from sertk.features.card import FILE, StoreCard, read_card, store_card
from sertk.features.error import error_to_float32
from sertk.features.making import store_provenance
from sertk.features.task import Target
from sertk.preflight.complaints import build_of
from sertk.provenance import Provenance, from_here
from sertk.revisions import component_parts


def chosen_utterances(manifest: Path, splits: Sequence[str]) -> list[Utterance]:
    """The utterances of some splits, or of all, with absolute paths. Raises DataError for a split that has none."""
    corpus = Manifest.read(manifest)
    if splits:
        corpus = corpus.with_utterances(corpus.split(*splits))
    return list(corpus.located())


def target_of(
    path: Path, store: Path, work: Extraction, utterances: Sequence[Utterance], *, measure: bool = True
) -> Target:
    """An encoder file, or a trained model that reads the stores it was trained on, if any, with its store.

    measure: what computing in less than float32 costs, where the store is new.
    """
    if is_checkpoint(path):
        stores = {} if reads_recordings(path) else {"from_stores": True}
        model = Use.model_validate({"use": "checkpoint", "folder": str(path), **stores})
        wanted = EncoderFile(encoder=model, dtype="float32")
        encoder = build(registry.encoders, model)
    else:
        wanted = load_encoder_file(path)
        encoder = build_of(path, "encoder", registry.encoders, wanted.encoder)
    use, is_model = wanted.encoder, isinstance(encoder, CheckpointEncoder)
    card = store_card(
        use.use,
        use.options,
        encoder,
        dtype=wanted.dtype,
        precision="float32" if is_model else work.precision,
        versions=component_parts(_components(use, encoder)),
    )
    target = Target(store, card, encoder, made_by(card, replace(work, encoders=(path,))))
    if not measure:
        return target
    return replace(target, card=replace(card, error=_error(target, use, work, utterances)))


def made_by(card: StoreCard, work: Extraction, **waiting: int) -> Provenance:
    """What the record of a store says. waiting: how many utterances are to be extracted."""
    (path,) = work.encoders
    call: dict[str, Any] = {
        "encoder": from_here(path),
        "manifest": from_here(work.manifest),
        "into": from_here(work.into),
    }
    call |= {"splits": list(work.splits), "precision": work.precision}
    reads = tuple(from_here(each) for each in (path, work.manifest, *map(Path, card.stores)))
    return store_provenance(card, call, reads, **waiting)


def _error(target: Target, use: Use, work: Extraction, utterances: Sequence[Utterance]) -> float | None:
    """What computing in less than float32 costs, measured where the store is new."""
    reduced = use.options.get("dtype", "float32") != "float32"
    if (target.card.precision == "float32" and not reduced) or _is_there(target.folder, target.card):
        return None
    reference = target.encoder
    if reduced:
        reference = build(registry.encoders, type(use).model_validate({**use.model_dump(), "dtype": "float32"}))
    return error_to_float32(
        target.encoder,
        reference,
        target.card,
        [Recording(utterance) for utterance in utterances],
        device=choose_device(work.device),
        precision=target.card.precision,
    )


def _is_there(store: Path, card: StoreCard) -> bool:
    return (store / FILE).exists() and read_card(store).key == card.key


def _components(use: Use, encoder: Encoder) -> list[tuple[str, str]]:
    """Kind and name of the components that make the frames: for a model also fusions and encoders of its tree."""
    found = [("encoder", use.use)]
    if isinstance(encoder, CheckpointEncoder):
        found += [("encoder", spec.use) for spec in encoder.specs.values()]
        found += [("fusion", tree.checkpoint.experiment.fusion.use) for tree in _trees(encoder.tree)]
    return found


def _trees(tree: ModelTree) -> list[ModelTree]:
    members = [source for source in tree.inputs.values() if isinstance(source, ModelTree)]
    return [tree, *(inner for member in members for inner in _trees(member))]
