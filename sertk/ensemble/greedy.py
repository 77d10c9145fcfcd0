"""Greedy selection of members, with replacement, and of how much of the class prior to take out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sertk.config.schema import Head, Positive, Selection, Use
from sertk.contracts import Combined, Stack
from sertk.ensemble.aggregators import Aggregate, DivideBy, divisor
from sertk.errors import EnsembleError
from sertk.revisions import revision
from sertk.training.evaluate import score

Metric = Literal["balanced_macro_f1", "macro_f1", "uar"]


@revision(1)
def greedy(
    *,
    rounds: Positive = 25,
    metric: Metric = "balanced_macro_f1",
    draws: Positive = 10,
    seed: int = 1,
    powers: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.0,),
    divide_by: DivideBy = "mean_posterior",
) -> Aggregate:
    """Soft vote of members chosen greedily: in each round the one whose addition scores best, again and again.

    A member's weight is how often it was taken up to the best round.

    Parameters
    ----------
    rounds
        At most.
    metric
        The score of a choice.
    draws
        Of balanced subsets, where the metric has them.
    seed
        Of these draws.
    powers
        For each, posteriors are divided by prior ** power before the choice; the power and the round that score best
        on the utterances to fit on are kept, the lower power and the earlier round of equals.
    divide_by
        The prior, as in `prior_corrected`; the mean posterior is that of all members.

    Raises
    ------
    EnsembleError
        Where members were trained on these utterances, and for a class without prior when a power is above 0.

    References
    ----------
    Caruana et al., Ensemble selection from libraries of models, 2004, sections 2.1 and 2.2; the prior: Menon et
    al., Long-tail learning via logit adjustment, 2021, section 3.
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        if stack.leaked:
            raise EnsembleError(
                f"{len(stack.leaked)} of {len(stack.posteriors)} utterances were in the training of a member, so "
                f"they cannot tell which members to keep: choose another split to fit on"
            )
        divided_by = divisor(stack, divide_by) if max(powers) > 0 else torch.ones(())
        table, names = stack.posteriors.table, list(stack.posteriors.sources)
        posteriors = torch.stack(
            [torch.cat([stack.posteriors.sources[name][id] for id in table.ids]).double() for name in names]
        )  # (M, N, C + A)
        selection = Selection(metric=metric, draws=draws)
        best, kept, power = float("-inf"), [0] * len(names), 0.0
        for candidate in sorted(powers):
            corrected = posteriors[..., : len(table.labels)] / divided_by**candidate  # (M, N, C)
            value, counts = _select(corrected, lambda p: score(p, table, selection, seed), rounds)
            if value > best:
                best, kept, power = value, counts, candidate
        prior = (divided_by**power / (divided_by**power).sum()).tolist()
        fusion = {"use": "posterior_mean", "classes": len(table.labels), "weights": [float(count) for count in kept]}
        notes = {
            "fit_on": "selection of members",
            "taken": dict(zip(names, kept, strict=True)),
            "power": power,
            "score": best,
        } | ({"divided_by": divide_by.replace("_", " ")} if power else {})
        return {
            "": Combined(
                Use.model_validate(fusion | ({"prior": prior} if power else {})),
                Head(kind="identity", attributes=list(table.attribute_names)),
                weights={},
                notes=notes,
            )
        }

    return aggregate


def _select(posteriors: Tensor, value_of: Callable[[Tensor], float], rounds: int) -> tuple[float, list[int]]:
    """The best score along the way, and how often each member was taken by then. posteriors: (M, N, C)."""
    total = torch.zeros_like(posteriors[0])  # (N, C)
    counts = [0] * len(posteriors)
    best, kept = float("-inf"), counts
    for taken in range(1, rounds + 1):
        values = [value_of((total + member) / taken) for member in posteriors]
        chosen = max(range(len(posteriors)), key=values.__getitem__)
        total = total + posteriors[chosen]
        counts = [count + (number == chosen) for number, count in enumerate(counts)]
        if values[chosen] > best:
            best, kept = values[chosen], counts
    return best, kept
