"""Core's aggregators: closed forms without weights. They are the controls that any fitted ensemble is judged beside.

Each gives a model like any other: the fusion `posterior_mean` and an identity head, on the members' posteriors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sertk.config.schema import Head, Use
from sertk.contracts import Combined, Stack
from sertk.errors import EnsembleError
from sertk.revisions import revision

NOTHING = "nothing"
"""What a closed form notes under `fit_on`: it reads no utterance, so none counts as one it was fitted on."""

DivideBy = Literal["mean_posterior", "label_prior"]

Aggregate = Callable[[Stack], dict[str, Combined]]


@revision(1)
def vote() -> Aggregate:
    """Majority vote: the share of members whose most probable class it is.

    Tied classes are ordered by the members' mean probability, which `posterior_mean` adds to the shares 100,000
    times smaller than a vote. Attributes: the mean. A control of MEDUSA (arXiv 2506.09556), table 3.
    """
    return lambda stack: _closed_form(stack, hard=True)


@revision(1)
def soft_vote(*, calibrate: bool = False) -> Aggregate:
    """Soft vote: the mean of the members' probabilities and attributes.

    A control of MEDUSA (arXiv 2506.09556), table 3.

    Parameters
    ----------
    calibrate
        Fit one temperature on the labels of the utterances to fit on, so that a probability says how often it is
        right. The most probable class stays the same.

    Raises
    ------
    EnsembleError
        For a temperature where a member was trained on these utterances, or none has a label.

    References
    ----------
    Guo et al., On calibration of modern neural networks, 2017, section 4.2 (temperature scaling).
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        if not calibrate:
            return _closed_form(stack)
        found = _temperature(stack)
        return _closed_form(stack, temperature=found, notes={"fit_on": "one temperature", "temperature": found})

    return aggregate


def _temperature(stack: Stack) -> float:
    """That with the least negative log likelihood of the consensus labels, among 400 from 0.1 to 10."""
    table, sources = stack.posteriors.table, stack.posteriors.sources.values()
    labelled = [(id, label) for id, label in zip(table.ids, table.consensus.tolist(), strict=True) if label >= 0]
    if stack.leaked or not labelled:
        what = f"{len(stack.leaked)} were in the training of a member" if stack.leaked else "none has a label"
        raise EnsembleError(f"calibrate: of {len(table)} utterances {what}: choose another split to fit on")
    each = [torch.cat([source[id] for id, _ in labelled]).double() for source in sources]  # M times (N, C + A)
    logs = torch.stack(each).mean(dim=0)[:, : len(table.labels)].clamp_min(1e-12).log()  # (N, C)
    truth = torch.tensor([label for _, label in labelled])
    temperatures = torch.logspace(-1, 1, 400, dtype=torch.float64)
    losses = torch.stack([F.cross_entropy(logs / temperature, truth) for temperature in temperatures])
    return round(float(temperatures[losses.argmin()]), 4)


@revision(1)
def prior_corrected(
    *, power: Annotated[float, Field(gt=0)] = 1.0, divide_by: DivideBy = "mean_posterior"
) -> Aggregate:
    """Soft vote without the class prior: mean probability / prior ** power, renormalised; the mean of attributes.

    The right decision for test sets in which every class weighs the same.

    Parameters
    ----------
    power
        1 removes the whole prior, values towards 0 less.
    divide_by
        What is taken for the prior. `mean_posterior` is the mean of the members' probabilities over the utterances to
        fit on, which no member was trained on; no label is read. It is the prior that the members have: members that
        end on balanced draws no longer have that of their training part. `label_prior` is the class distribution of
        the training part, right for members that were trained on it to the end.

    Raises
    ------
    EnsembleError
        Naming classes of which there is no mass to divide by, and where `mean_posterior` would be taken over
        utterances that a member was trained on.

    References
    ----------
    Saerens et al., Adjusting the outputs of a classifier to new a priori probabilities, 2002, eq. 2.4 (the
    division) and 2.9 (the prior as a mean of posteriors).
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        weights = divisor(stack, divide_by) ** power  # (C,)
        notes: dict[str, Any] = {"divided_by": divide_by.replace("_", " "), "power": power}
        if divide_by == "mean_posterior":
            notes["fit_on"] = "the members' posteriors, no label"
            notes["divided_by"] += f" of {len(stack.posteriors)} utterances"
        return _closed_form(stack, prior=(weights / weights.sum()).tolist(), notes=notes)

    return aggregate


def divisor(stack: Stack, divide_by: DivideBy) -> Tensor:
    """(C,) the class distribution to divide posteriors by, none of it 0.

    Raises EnsembleError naming classes without mass, and for a mean posterior of utterances that members know.
    """
    table = stack.posteriors.table
    if not table.labels:
        raise EnsembleError("there are no classes, so no prior can be divided out: use soft_vote")
    if divide_by == "label_prior":
        prior, of = stack.prior.double(), "the training part has no targets for"
    elif stack.leaked:
        raise EnsembleError(
            f"{len(stack.leaked)} of {len(stack.posteriors)} utterances were in the training of a member, whose mean "
            f"posterior of them is that of their labels: fit on a held-out split, give posteriors of fold models "
            f'with --out-of-fold, or ask for the label prior with divide_by = "label_prior"'
        )
    else:
        prior, of = (
            mean_posterior(stack),
            f"over {len(stack.posteriors)} utterances no member gives any probability to",
        )
    empty = [name for name, share in zip(table.labels.names, prior.tolist(), strict=True) if share <= 0]
    if empty:
        raise EnsembleError(f"{of} {', '.join(empty)}, so no prior can be divided out: use soft_vote")
    return prior


def mean_posterior(stack: Stack) -> Tensor:
    """(C,) the mean of all members' probabilities over all utterances of a stack; no label is read."""
    table, sources = stack.posteriors.table, stack.posteriors.sources.values()
    each = [
        torch.cat([source[id] for id in table.ids]).double().mean(dim=0) for source in sources
    ]  # M times (C + A,)
    mean = torch.stack(each).mean(dim=0)[: len(table.labels)]
    return mean / mean.sum()


def _closed_form(
    stack: Stack,
    *,
    hard: bool = False,
    prior: list[float] | None = None,
    temperature: float | None = None,
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Combined]:
    table = stack.posteriors.table
    options: dict[str, Any] = {"hard": hard, "classes": len(table.labels)}
    options |= ({"prior": prior} if prior else {}) | ({"temperature": temperature} if temperature else {})
    fusion = Use.model_validate({"use": "posterior_mean", **options})
    head = Head(kind="identity", attributes=list(table.attribute_names))
    return {"": Combined(fusion, head, weights={}, notes={"fit_on": NOTHING, **notes})}
