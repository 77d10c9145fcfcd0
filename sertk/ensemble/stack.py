"""From members' paths to what an aggregator is given: posteriors and labels of the same utterances, joined by id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet, FeatureSource, feature_set
from sertk.cards import Card, read_card
from sertk.checkpoint import same_labels
from sertk.config.schema import Combination
from sertk.contracts import Stack
from sertk.data.copies import seen_in
from sertk.data.labels import LabelTable
from sertk.data.manifest import Manifest, Utterance
from sertk.data.targets import label_table
from sertk.ensemble.folds import out_of_fold
from sertk.ensemble.members import (
    Member,
    Rows,
    Shape,
    checkpoint_of,
    inputs_of,
    model_folder,
    open_member,
)
from sertk.ensemble.predictions import Predictions
from sertk.errors import EnsembleError, Fault, SertkError
from sertk.files import sha256_json
from sertk.inputs import table_digest, training_part


@dataclass(frozen=True)
class Stacked:
    """A stack and where it comes from.

    members: in the order given. left_out: utterances of the split that cannot be used, and why.
    train_ids: all that members, and the fold models in their place, were trained on.
    """

    stack: Stack
    members: tuple[Member, ...]
    left_out: tuple[Fault, ...]
    train_ids: frozenset[str]


def build_stack(
    combination: Combination,
    manifest: Manifest,
    members: Mapping[str, Path],
    folds: Mapping[str, Path],
    device: torch.device,
) -> Stacked:
    """Open members and join them on the split `combination.fit`. Raises SertkError for members that do not fit.

    folds: by member, the cross-validation whose out-of-fold posteriors are fitted on in place of the member's own.
    """
    utterances, data = manifest.split(combination.fit), combination.data
    ids = [utterance.id for utterance in utterances]
    checkpoints = {name: checkpoint_of(path) for name, path in members.items()}
    cards = {name: checkpoint.card for name, checkpoint in checkpoints.items() if checkpoint}
    shape = common_shape(manifest, members, cards)
    opened = tuple(open_member(name, path, checkpoints[name], shape, ids, device) for name, path in members.items())
    sources: dict[str, FeatureSource] = {}
    made_by: dict[str, frozenset[str]] = {}  # what the models of a member's posteriors were trained on; no folds
    train_ids: frozenset[str] = frozenset().union(*(member.train_ids for member in opened))
    for member in opened:
        sources[member.name], made_by[member.name] = member.posteriors, member.train_ids
        if member.name in folds:
            if member.checkpoint is None:
                raise EnsembleError(f"{member.name} comes from a predictions file: it cannot have folds")
            rows, trained = out_of_fold(folds[member.name], member.name, member.checkpoint, shape, utterances)
            sources[member.name], made_by[member.name] = rows, frozenset()
            train_ids |= trained
        if sources[member.name].dim != shape.width:
            raise EnsembleError(
                f"{member.path} has {sources[member.name].dim} features an utterance, not {len(shape.labels)} "
                f"classes and {len(shape.ranges)} attributes"
            )
    posteriors, left_out = feature_set(
        utterances,
        shape.labels,
        shape.ranges,
        sources,
        attributes=tuple(shape.ranges),
        targets=data.targets,
        other=data.other,
    )
    stack = Stack(
        members={member.name: member.checkpoint for member in opened if member.checkpoint},
        posteriors=_attributes_filled(posteriors, len(shape.labels)),
        inputs=_inputs(opened, posteriors, device),
        prior=_prior(combination, manifest, shape, opened),
        leaked=frozenset(posteriors.table.ids) & {*seen_in(utterances, frozenset().union(*made_by.values()))},
        device=device,
    )
    return Stacked(stack, opened, tuple(left_out), train_ids)


def common_shape(manifest: Manifest, members: Mapping[str, Path], cards: Mapping[str, Card]) -> Shape:
    """The classes and attributes that all checkpoints say; without one, the manifest's classes and the attributes
    that all files have. cards: of the checkpoints. Raises EnsembleError for classes that the manifest does not have.
    """
    if not cards:
        files = [Predictions.read(path, labels=manifest.labels) for path in members.values()]
        common = [name for name in files[0].attribute_names if all(name in f.attribute_names for f in files)]
        return Shape(manifest.labels, {name: manifest.ranges[name] for name in common if name in manifest.ranges})
    labels = same_labels(cards)
    if labels and set(labels.names) != set(manifest.labels.names):
        raise EnsembleError(
            f"the members say {', '.join(labels.names)}, the manifest has {', '.join(manifest.labels.names)}"
        )
    return Shape(labels, next(iter(cards.values())).ranges)


def label_parts(combination: Combination, manifest: Manifest, members: Mapping[str, Path]) -> dict[str, str]:
    """What is read of the manifest, as parts of a key: the labels of the split to fit on.

    Of files alone the labels of the training part too, whose prior they take. Raises SertkError for members that do
    not fit.
    """
    folders = {name: folder for name, path in members.items() if (folder := model_folder(path))}
    shape = common_shape(manifest, members, {name: read_card(folder) for name, folder in folders.items()})
    read = {"labels": manifest.split(combination.fit)}
    if not folders:
        read["training labels"] = training_part(manifest, combination.data)
    parts = {"classes": json.dumps([shape.labels.names, shape.labels.letters], ensure_ascii=False)}
    parts["ranges"] = json.dumps([[name, *bounds] for name, bounds in shape.ranges.items()])
    for name, utterances in read.items():
        table, without_target = _table(combination, utterances, shape)
        parts[name] = sha256_json([table_digest(table), without_target])
    return parts


def _table(combination: Combination, utterances: Sequence[Utterance], shape: Shape) -> tuple[LabelTable, list[str]]:
    data, names = combination.data, tuple(shape.ranges)
    return label_table(
        utterances, shape.labels, shape.ranges, attributes=names, targets=data.targets, other=data.other
    )


def _prior(combination: Combination, manifest: Manifest, shape: Shape, members: Sequence[Member]) -> Tensor:
    """(C,) the mean of the members' training priors; of files alone, the soft mass of the training split."""
    known = [member.checkpoint.card.prior for member in members if member.checkpoint]
    if known:
        return torch.tensor(known, dtype=torch.float64).mean(dim=0)
    table, _ = _table(combination, training_part(manifest, combination.data), shape)
    return torch.from_numpy(table.prior)


def _inputs(members: Sequence[Member], posteriors: FeatureSet, device: torch.device) -> FeatureSet | None:
    """What the members read, of the same utterances; None where some is not there or two share a name."""
    sources: dict[str, FeatureSource] = {}
    places: dict[str, str] = {}
    for member in members:
        if member.checkpoint is None:
            return None
        features = member.checkpoint.experiment.features
        if any(places.setdefault(name, folder) != folder for name, folder in features.items()):
            return None
        if not features.keys() <= sources.keys():
            try:
                sources |= inputs_of(member.checkpoint, posteriors.table.ids, device)
            except SertkError:  # moved or made anew since; the posteriors alone serve most aggregators
                return None
    if any(id not in source for id in posteriors.table.ids for source in sources.values()):
        return None
    return FeatureSet(posteriors.table, sources)


def _attributes_filled(posteriors: FeatureSet, classes: int) -> FeatureSet:
    """Where a file says nothing of an attribute, the mean of the others: it then has no part in it.

    Raises EnsembleError for utterances of which no member gives an attribute.
    """
    lacking = {
        name: source
        for name, source in posteriors.sources.items()
        if isinstance(source, Rows) and any(source[id].isnan().any() for id in posteriors.table.ids)
    }
    if not lacking:
        return posteriors
    filled: dict[str, dict[str, Tensor]] = {name: {} for name in lacking}
    for id in posteriors.table.ids:
        mean = torch.stack([source[id].float() for source in posteriors.sources.values()]).nanmean(dim=0)  # (1, D)
        if mean[:, classes:].isnan().any():
            raise EnsembleError(f"{id}: no member says all of {', '.join(posteriors.table.attribute_names)} of it")
        for name, source in lacking.items():
            filled[name][id] = torch.where(source[id].isnan(), mean, source[id])
    made = {name: Rows(frames, posteriors.dims[name]) for name, frames in filled.items()}
    return FeatureSet(posteriors.table, {**posteriors.sources, **made})
