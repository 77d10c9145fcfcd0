"""Members of a made-up ensemble: models of one shape that read the same two inputs, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet
from sertk.cards import Card, EncoderSpec
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Data, Experiment, Head, Stage, Use
from sertk.contracts import Combined, Stack
from sertk.data.labels import LabelTable
from sertk.ensemble.members import Rows
from sertk.models.classifier import build_classifier
from sertk.testing.suites.made_up import ATTRIBUTES, COUNTS, LABELS, RANGE, a_table
from sertk.training.evaluate import infer

CPU = torch.device("cpu")
MEMBERS = ("first", "second", "third")
INPUTS = {"speech": 8, "words": 5}
NOISE = {"first": 0.1, "second": 0.3, "third": 0.6}
"""How far each member's weights are from the right ones."""
HEAD = Head(attributes=list(ATTRIBUTES), activation="none")
FUSION = Use(use="concat")


def a_stack() -> Stack:
    """Three members that are right about most utterances, the first most often, and all that is known of them."""
    table = a_table({index: 2 * count for index, count in COUNTS.items()}, seed=8)
    inputs = FeatureSet(table, _inputs(table))
    members = {name: _member(name, number, table) for number, name in enumerate(MEMBERS)}
    said = {name: infer(member.classifier(), inputs, device=CPU) for name, member in members.items()}
    sources = {
        name: Rows(dict(zip(table.ids, rows[:, None], strict=True)), rows.shape[1]) for name, rows in said.items()
    }
    return Stack(
        members=members,
        posteriors=FeatureSet(table, sources),
        inputs=inputs,
        prior=torch.from_numpy(table.prior),
        leaked=frozenset(),
        device=CPU,
    )


def stored_anew(stack: Stack) -> Stack:
    """The same stack whose members keep their rows each in an order of its own, with utterances nobody asked for."""
    generator = np.random.default_rng(4)

    def shuffled(source: Rows) -> Rows:
        frames = {**source.frames, "nobody-asked": torch.full((1, source.dim), 1 / source.dim)}
        ids = list(frames)
        return Rows({ids[row]: frames[ids[row]] for row in generator.permutation(len(ids))}, source.dim)

    def anew(data: FeatureSet) -> FeatureSet:
        return FeatureSet(data.table, {name: shuffled(source) for name, source in _rows(data).items()})

    return replace(stack, posteriors=anew(stack.posteriors), inputs=anew(stack.inputs) if stack.inputs else None)


def turned(stack: Stack) -> Stack:
    """The same stack with its members named in the opposite order."""
    posteriors = FeatureSet(stack.posteriors.table, dict(reversed(list(stack.posteriors.sources.items()))))
    return replace(stack, members=dict(reversed(list(stack.members.items()))), posteriors=posteriors)


def as_checkpoint(combined: Combined, stack: Stack, name: str) -> Checkpoint:
    """The checkpoint that `sertk combine` would make of a combined model, its encoders made up."""
    data = stack.posteriors if combined.features == "members" else stack.inputs
    dims = data.dims if data else {}
    first = next(iter(stack.members.values()))
    return Checkpoint(
        experiment=_experiment(dims, combined.fusion, combined.head),
        card=replace(first.card, name=name, encoders={key: _spec(key, dim) for key, dim in dims.items()}),
        weights=dict(combined.weights),
    )


def _rows(data: FeatureSet) -> dict[str, Rows]:
    return {name: source for name, source in data.sources.items() if isinstance(source, Rows)}


def _inputs(table: LabelTable) -> dict[str, Rows]:
    """One frame an utterance: the class targets, then the attributes (in -1..1), then noise."""
    generator = torch.Generator().manual_seed(12)
    signal = torch.from_numpy(table.targets).float()  # (N, C)
    found = {}
    for name, dim in INPUTS.items():
        frames = 0.3 * torch.randn(len(table), dim, generator=generator)
        frames[:, : len(LABELS)] += signal
        found[name] = Rows(dict(zip(table.ids, frames[:, None], strict=True)), dim)
    return found


def _member(name: str, number: int, table: LabelTable) -> Checkpoint:
    classes, width = len(LABELS), sum(INPUTS.values())
    model = build_classifier(FUSION, HEAD, dims=INPUTS, classes=classes, ranges=[RANGE] * len(ATTRIBUTES), seed=1)
    right = torch.zeros(classes, width)
    right[:, :classes] = 2 * torch.eye(classes)
    right[:, INPUTS["speech"] : INPUTS["speech"] + classes] = 2 * torch.eye(classes)
    generator = torch.Generator().manual_seed(number)
    weights: dict[str, Tensor] = {key: value.clone() for key, value in model.state_dict().items()}
    weights["head.emotion.weight"] = right + NOISE[name] * torch.randn(right.shape, generator=generator)
    return Checkpoint(
        experiment=_experiment(INPUTS, FUSION, HEAD),
        card=Card(
            name=name,
            labels=list(LABELS.names),
            letters=LABELS.letters,
            ranges=dict.fromkeys(ATTRIBUTES, RANGE),
            encoders={key: _spec(key, dim) for key, dim in INPUTS.items()},
            prior=table.prior.tolist(),
            metrics={},
            data_fingerprint="made up",
            inputs=f"made up {number}",
            versions={},
            notes={"fit_on": "held_out", "init_seed": number},
        ),
        weights=weights,
    )


def _experiment(dims: Mapping[str, int], fusion: Use, head: Head) -> Experiment:
    return Experiment(
        data=Data(manifest="made-up.jsonl"),
        features={name: f"features/{name}" for name in dims},
        fusion=fusion,
        head=head,
        stage=[Stage(name="full", epochs=1)],
    )


def _spec(name: str, dim: int) -> EncoderSpec:
    return EncoderSpec(
        use="made_up", options={}, fingerprint=f"made-up-{name}", modality="posterior", dim=dim, frames_per_second=0.0
    )
