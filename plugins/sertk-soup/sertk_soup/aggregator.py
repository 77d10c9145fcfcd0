"""Model soups: the mean of the weights of several checkpoints of one shape, as one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sertk.checkpoint import Checkpoint
from sertk.config.schema import Positive, Selection
from sertk.contracts import Combined, Stack
from sertk.ensemble.aggregators import NOTHING
from sertk.errors import EnsembleError
from sertk.models.classifier import build_classifier
from sertk.revisions import revision
from sertk.training.evaluate import infer, score

Metric = Literal["balanced_macro_f1", "macro_f1", "uar", "mean_ccc"]


@revision(1)
def soup(
    *,
    method: Literal["uniform", "greedy"] = "uniform",
    allow_different_starts: bool = False,
    metric: Metric = "balanced_macro_f1",
    draws: Positive = 10,
    seed: int = 1,
    batch_size: Positive = 256,
) -> Callable[[Stack], dict[str, Combined]]:
    """Average the weights of checkpoints of one shape; MEDUSA's stage 4.

    The result reads what the members read, and costs what one of them costs. For a linear map (`concat` under a
    head without activation) the soup's logits are the mean of the members' logits. Other models can be averaged
    where they went on from the same first weights. The statistics that inputs are standardised by are part of the
    map: they must be equal. Other buffers are averaged too; integer ones must agree.

    Parameters
    ----------
    method
        `uniform` averages all. `greedy` takes them from the best to the worst by the score (metric, draws, seed) on
        the utterances to fit on, and keeps each that makes the average no worse.
    allow_different_starts
        Average models of different `init_seed` too, which are refused otherwise: their average is as a rule worse
        than each.
    metric
        The score of a choice.
    draws
        Of balanced subsets, where the metric has them.
    seed
        Of these draws.
    batch_size
        Utterances in a batch, when scoring.

    Raises
    ------
    EnsembleError
        Naming the first difference between members that cannot be averaged.

    References
    ----------
    Wortsman et al., Model soups, 2022, recipe 1; MEDUSA (arXiv 2506.09556), section 3.6.
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        members = stack.members
        if len(members) < len(stack.posteriors.sources) or not members:
            raise EnsembleError("a soup averages weights: members must be checkpoints, not files of predictions")
        refuse_differences(members, allow_different_starts)
        if method == "uniform":
            chosen, notes = list(members), dict[str, Any](fit_on=NOTHING)
        else:
            selection = Selection(metric=metric, draws=draws)
            chosen, scores = greedy(stack, selection, seed=seed, batch_size=batch_size)
            notes = {"fit_on": "selection of members", "scores": scores}
        first = next(iter(members.values())).experiment
        return {
            "": Combined(
                fusion=first.fusion,
                head=first.head,
                weights=mean_weights([members[name].weights for name in chosen]),
                features="inputs",
                notes={"method": method, "averaged": chosen, **notes},
            )
        }

    return aggregate


def mean_weights(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, taken in float64. Raises EnsembleError for integer tensors that differ."""
    mean: dict[str, Tensor] = {}
    for name, first in weights[0].items():
        stacked = torch.stack([each[name] for each in weights])  # (M, ...)
        if first.is_floating_point():
            mean[name] = stacked.double().mean(dim=0).to(first.dtype)
        elif (stacked == first).all():
            mean[name] = first
        else:
            raise EnsembleError(f"the integer buffer {name!r} differs between members and cannot be averaged")
    return mean


def greedy(stack: Stack, selection: Selection, *, seed: int, batch_size: int) -> tuple[list[str], dict[str, float]]:
    """The members that a greedy soup keeps, and the score of each member alone and of the soup.

    Raises EnsembleError where members were trained on the utterances, or their inputs are not there.
    """
    data = stack.inputs
    if data is None:
        raise EnsembleError(
            "a greedy soup is evaluated while it grows, so it needs the feature stores that all members read, under "
            'the same names: put them back where the members\' config.toml says, or use method = "uniform"'
        )
    if stack.leaked:
        raise EnsembleError(
            f"{len(stack.leaked)} of {len(data)} utterances were in the training of a member, so they cannot tell "
            f"which members to keep: choose another split to fit on"
        )

    def score_of(names: Sequence[str]) -> float:
        model = next(iter(stack.members.values()))
        classifier = build_classifier(
            model.experiment.fusion,
            model.experiment.head,
            dims={name: data.dims[name] for name in model.card.encoders},
            classes=len(model.card.labels),
            ranges=list(model.card.ranges.values()),
            seed=model.experiment.init_seed,
            standardise=model.experiment.standardise,
        )
        classifier.load_state_dict(mean_weights([stack.members[name].weights for name in names]))
        outputs = infer(classifier.to(stack.device), data, batch_size=batch_size, device=stack.device)
        return score(outputs, data.table, selection, seed)

    scores = {name: score_of([name]) for name in stack.members}
    chosen: list[str] = []
    best = float("-inf")
    for name in sorted(scores, key=lambda name: -scores[name]):
        value = score_of([*chosen, name])
        if value >= best:
            chosen, best = [*chosen, name], value
    return chosen, {**scores, "soup": best}


def refuse_differences(members: Mapping[str, Checkpoint], allow_different_starts: bool) -> None:
    """Raise EnsembleError naming the first thing in which members differ that makes their mean meaningless."""
    (reference, first), *others = members.items()
    linear = _is_linear(first)
    for name, other in others:
        pairs = {
            "fusion": (first.experiment.fusion, other.experiment.fusion),
            "head": (first.experiment.head, other.experiment.head),
            "classes": (first.card.labels, other.card.labels),
            "attribute ranges": (list(first.card.ranges.items()), list(other.card.ranges.items())),
            "encoders": (_encoders(first), _encoders(other)),
            "weights": (_shapes(first), _shapes(other)),
        }
        if not (linear or allow_different_starts):
            pairs["init_seed"] = (first.experiment.init_seed, other.experiment.init_seed)
        for what, (here, there) in pairs.items():
            if here != there:
                advice = (
                    "train them with one init_seed and different seeds, or set allow_different_starts = true"
                    if what == "init_seed"
                    else "only models of the same architecture and inputs can be averaged; combine others by a vote"
                )
                raise EnsembleError(f"{reference} and {name} differ in {what}, {here} and {there}: {advice}")
        differing = [key for key, value in _statistics(first).items() if not _equal(value, other.weights.get(key))]
        if differing:
            raise EnsembleError(
                f"{reference} and {name} standardise by different statistics, {', '.join(differing)}: their weights "
                f"have no mean. Train them on the same utterances, or combine them by a vote"
            )


def _is_linear(checkpoint: Checkpoint) -> bool:
    """Whether all that was learnt is one linear map of pooled, perhaps standardised features."""
    experiment = checkpoint.experiment
    learnt = {name for name in checkpoint.weights if not name.startswith("head.")} - _statistics(checkpoint).keys()
    return experiment.fusion.use == "concat" and experiment.head.activation == "none" and not learnt


def _statistics(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """What the inputs are standardised by: of the experiment's `standardise`, and of a `concat` that does so."""
    own = {name for name in checkpoint.weights if name.startswith("scale.")} | {"fusion.mean", "fusion.std"}
    return {name: tensor for name, tensor in checkpoint.weights.items() if name in own}


def _equal(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and torch.equal(one, other)


def _encoders(checkpoint: Checkpoint) -> dict[str, str]:
    return {name: spec.fingerprint for name, spec in checkpoint.card.encoders.items()}


def _shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}
