"""Members of a made-up ensemble: models of one shape that read the same inputs, and what they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet
from sertk.cards import Card, EncoderSpec
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Data, Experiment, Head, Stage, Use
from sertk.contracts import Aggregator, Combined, Stack
from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.ensemble.members import Rows
from sertk.models.classifier import Classifier, build_classifier
from sertk.testing.suites.base import Subject
from sertk.testing.suites.made_up import ATTRIBUTES, COUNTS, LABELS, RANGE, a_table
from sertk.training.evaluate import infer

CPU = torch.device("cpu")
INPUTS = {"speech": 8, "words": 5}
NOISE = {"first": 0.2, "second": 0.5, "third": 1.0}
"""Members, and how noisy the outputs of each are beside the best ones, as a share of their deviation."""
HEAD = Head(attributes=list(ATTRIBUTES), activation="none")
FUSION = Use(use="concat")
CONFIDENCE = 6.0
"""How far the logit of the right class is above the others where a member is right."""


def a_stack(inputs: Mapping[str, int] = INPUTS, fusion: Use = FUSION) -> Stack:
    """Three members that are right about most utterances, the first most often, and all that is known of them.

    inputs: the width of each modality that they read. fusion: of all three.
    """
    table = a_table({index: 2 * count for index, count in COUNTS.items()}, seed=8)
    data = FeatureSet(table, _inputs(table, inputs))
    members = {name: _member(name, number, data, fusion) for number, name in enumerate(NOISE)}
    posteriors = {name: infer(member.classifier(), data, device=CPU) for name, member in members.items()}
    sources = {
        name: Rows(dict(zip(table.ids, rows[:, None], strict=True)), rows.shape[1])
        for name, rows in posteriors.items()
    }
    return Stack(
        members=members,
        posteriors=FeatureSet(table, sources),
        inputs=data,
        prior=torch.from_numpy(table.prior),
        leaked=frozenset(),
        device=CPU,
    )


def stack_for(subject: Subject) -> Stack:
    """The stack for an aggregator, of members as its checks were asked to have."""
    return a_stack(subject.dims or INPUTS, Use.model_validate(subject.members) if subject.members else FUSION)


def combined_models(subject: Subject, stack: Stack) -> dict[str, Combined]:
    """What an aggregator makes of a stack."""
    aggregator: Aggregator = subject.build()
    return aggregator(stack)


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


def relabelled(stack: Stack, ids: Sequence[str]) -> Stack:
    """The same stack in which some utterances have other labels: the next class, attributes from the other end."""
    table = stack.posteriors.table
    rows = np.isin(table.ids, ids)
    consensus, targets, attributes = table.consensus.copy(), table.targets.copy(), table.attributes.copy()
    agreed = rows & (consensus != NO_AGREEMENT)
    consensus[agreed] = (consensus[agreed] + 1) % len(table.labels)
    targets[rows] = np.roll(targets[rows], 1, axis=1)
    attributes[rows] = sum(RANGE) - attributes[rows]
    return _with_labels(stack, replace(table, consensus=consensus, targets=targets, attributes=attributes))


def always_wrong(stack: Stack) -> Stack:
    """The same stack in which every utterance with a consensus has a class that no member gives it."""
    table = stack.posteriors.table
    classes = len(table.labels)
    given = [
        [int(source[id][0, :classes].argmax()) for source in _rows(stack.posteriors).values()] for id in table.ids
    ]
    consensus, targets = table.consensus.copy(), table.targets.copy()
    dealt = [0] * classes  # every class stays in use: samplers and losses want one of each
    for row in np.flatnonzero(consensus != NO_AGREEMENT):
        consensus[row] = min(set(range(classes)) - set(given[row]), key=dealt.__getitem__)
        dealt[consensus[row]] += 1
        targets[row] = np.eye(classes)[consensus[row]]
    return _with_labels(stack, replace(table, consensus=consensus, targets=targets))


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


def _with_labels(stack: Stack, table: LabelTable) -> Stack:
    inputs = FeatureSet(table, stack.inputs.sources) if stack.inputs else None
    return replace(stack, posteriors=FeatureSet(table, stack.posteriors.sources), inputs=inputs)


def _rows(data: FeatureSet) -> dict[str, Rows]:
    return {name: source for name, source in data.sources.items() if isinstance(source, Rows)}


def _inputs(table: LabelTable, dims: Mapping[str, int]) -> dict[str, Rows]:
    """One frame for each utterance: what the labels are, as C + A numbers, dealt out to the modalities, and noise."""
    generator = torch.Generator().manual_seed(12)
    middle, half = sum(RANGE) / 2, (RANGE[1] - RANGE[0]) / 2
    attributes = torch.from_numpy((table.attributes - middle) / half).nan_to_num()  # (N, A) in -1..1
    signal = torch.cat([torch.from_numpy(table.targets), attributes], dim=1).float()  # (N, C + A)
    total = sum(dims.values())
    dealt = signal[:, torch.arange(total) % signal.shape[1]] + 0.3 * torch.randn(
        len(table), total, generator=generator
    )
    parts = torch.split(dealt, list(dims.values()), dim=1)
    return {
        name: Rows(dict(zip(table.ids, part[:, None].contiguous(), strict=True)), part.shape[1])
        for name, part in zip(dims, parts, strict=True)
    }


def _member(name: str, number: int, data: FeatureSet, fusion: Use) -> Checkpoint:
    """A member whose head is the best linear one on its fusion as it was drawn, disturbed."""
    table = data.table
    ranges = [RANGE] * len(ATTRIBUTES)
    model = build_classifier(fusion, HEAD, dims=data.dims, classes=len(LABELS), ranges=ranges, seed=1).eval()
    weights: dict[str, Tensor] = {key: value.clone() for key, value in model.state_dict().items()}
    weights |= _fitted_head(model, data, NOISE[name], torch.Generator().manual_seed(number))
    return Checkpoint(
        experiment=_experiment(data.dims, fusion, HEAD),
        card=Card(
            name=name,
            labels=list(LABELS.names),
            letters=LABELS.letters,
            ranges=dict.fromkeys(ATTRIBUTES, RANGE),
            encoders={key: _spec(key, dim) for key, dim in data.dims.items()},
            prior=table.prior.tolist(),
            metrics={},
            data_fingerprint="made up",
            versions={},
            notes={"fit_on": "held_out", "init_seed": number},
        ),
        weights=weights,
    )


def _fitted_head(model: Classifier, data: FeatureSet, noise: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights of a head by ridge regression on the fused vectors, plus noise."""
    table = data.table
    with torch.no_grad():
        fused = model.fuse(data.batch(range(len(table))).features).double()  # (N, W)
    mean = fused.mean(dim=0)
    centred = fused - mean
    share = (torch.from_numpy(table.attributes) - RANGE[0]) / (RANGE[1] - RANGE[0])  # (N, A), NaN where missing
    logits = CONFIDENCE * torch.from_numpy(table.targets)  # (N, C)
    wanted = {"emotion": logits, "attributes": torch.logit(share, eps=0.02)}
    weights: dict[str, Tensor] = {}
    for part, values in wanted.items():
        present = ~values.isnan()
        bias = values.nanmean(dim=0)
        rows = torch.where(present, values - bias, 0.0)  # a missing value is the mean one
        ridge = 1e-3 * torch.eye(fused.shape[1], dtype=fused.dtype)
        best = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ rows).T  # (values, W)
        drawn = torch.randn(best.shape, generator=generator, dtype=best.dtype)
        spread = (centred @ best.T).std(dim=0) / (centred @ drawn.T).std(dim=0)  # (values,)
        disturbed = best + noise * spread[:, None] * drawn
        weights[f"head.{part}.weight"] = disturbed.float()
        weights[f"head.{part}.bias"] = (bias - disturbed @ mean).float()
    return weights


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
