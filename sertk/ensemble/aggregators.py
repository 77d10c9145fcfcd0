"""Core's aggregators: closed forms without weights. They are the controls that any fitted ensemble is judged beside.

Each gives a model like any other: the fusion `posterior_mean` and an identity head, on the members' posteriors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from sertk.config.schema import Head, Use
from sertk.contracts import Combined, Stack
from sertk.errors import EnsembleError

NOTHING = "nothing"
"""What a closed form notes under `fit_on`: no label was read, so no utterance counts as one it was fitted on."""

Aggregate = Callable[[Stack], dict[str, Combined]]


def vote() -> Aggregate:
    """Majority vote: the share of members whose most probable class it is.

    Tied classes are ordered by the members' mean probability, which `posterior_mean` adds to the shares 100,000
    times smaller than a vote. Attributes: the mean. A control of MEDUSA (arXiv 2506.09556), table 3.
    """
    return lambda stack: _closed_form(stack, hard=True)


def soft_vote() -> Aggregate:
    """Soft vote: the mean of the members' probabilities and attributes.

    A control of MEDUSA (arXiv 2506.09556), table 3.
    """
    return lambda stack: _closed_form(stack)


def prior_corrected(*, power: Annotated[float, Field(gt=0)] = 1.0) -> Aggregate:
    """Soft vote without the class prior: mean probability / prior ** power, renormalised; the mean of attributes.

    The right decision for balanced test sets when members were trained on the natural class distribution (Saerens
    et al., 2002, eq. 2.4); members trained on balanced draws carry no such prior. power: 1 takes the whole prior
    away, values towards 0 less. Raises EnsembleError naming classes that the training part has none of.
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        names = stack.posteriors.table.labels.names
        empty = [name for name, share in zip(names, stack.prior.tolist(), strict=True) if share <= 0]
        if empty:
            raise EnsembleError(
                f"the training part has no mass in {', '.join(empty)}, so no prior can be taken out: use soft_vote"
            )
        weights = stack.prior.double() ** power  # (C,)
        return _closed_form(stack, prior=(weights / weights.sum()).tolist())

    return aggregate


def _closed_form(stack: Stack, *, hard: bool = False, prior: list[float] | None = None) -> dict[str, Combined]:
    table = stack.posteriors.table
    options = {"hard": hard, "classes": len(table.labels)} | ({"prior": prior} if prior else {})
    fusion = Use.model_validate({"use": "posterior_mean", **options})
    head = Head(kind="identity", attributes=list(table.attribute_names))
    return {"": Combined(fusion, head, weights={}, notes={"fit_on": NOTHING})}
