"""What every aggregator keeps: `(*, options)` to a function of a stack of members that gives one model or several."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sertk.checkpoint import Checkpoint
from sertk.contracts import Combined, Stack
from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.errors import EnsembleError
from sertk.testing.suites.aggregator_labels import Models, differing, fit_on, leak, never_right, title
from sertk.testing.suites.base import BrokenError, Subject, global_seeds, require, require_near
from sertk.testing.suites.made_up_members import (
    CPU,
    as_checkpoint,
    combined_models,
    stack_for,
    stored_anew,
    turned,
)
from sertk.training.evaluate import infer
from sertk.training.metrics import ccc

SAME_ANSWER = 0.9
"""The share of utterances whose class may not hang on the order of the members."""
KEPT = 0.5
"""Which part of what the members on average know must be left, for each attribute and for the classes."""


def names(subject: Subject) -> None:
    """It returns one model named "", or several under names that are valid for folders."""
    models = combined_models(subject, stack_for(subject))
    require(isinstance(models, dict), f"it should give a dictionary of models, got a {type(models).__name__}")
    require(len(models) > 0, "it gave no model")
    require(list(models) == [""] or "" not in models, f"one model is named '', several are not: got {list(models)}")
    for name, combined in models.items():
        require(isinstance(combined, Combined), f"each model should be a Combined, got a {type(combined).__name__}")
        require(
            not name or re.fullmatch(r"[\w.-]+", name) is not None,
            f"{name!r} becomes the name of a folder: use letters, digits, '.', '_' and '-'",
        )


def checkpoint(subject: Subject) -> None:
    """Its models can be saved, loaded and used: probabilities are finite and sum to 1, and there are attributes."""
    stack = stack_for(subject)
    classes = len(stack.posteriors.table.labels)
    for name, combined in combined_models(subject, stack).items():
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            as_checkpoint(combined, stack, name).save(saved)
            posteriors = _infer(Checkpoint.load(saved), combined, stack)
        width = classes + len(stack.posteriors.table.attribute_names)
        require(
            posteriors.shape[1] == width,
            f"{title(name)} should give C + A = {width} numbers for each utterance, got {posteriors.shape[1]}",
        )
        sums = posteriors[:, :classes].sum(1)
        require_near(sums, torch.ones(len(sums)), f"the sum of probabilities of {title(name)}, beside 1")


def label_set(subject: Subject) -> None:
    """The classes are those of the members in the same order: the model is right nearly as often as they are."""
    stack = stack_for(subject)
    table = stack.posteriors.table
    agreed = torch.from_numpy(table.consensus != NO_AGREEMENT)
    truth = torch.from_numpy(table.consensus)[agreed]

    def right(posteriors: Tensor) -> float:
        return float((posteriors[agreed, : len(table.labels)].argmax(1) == truth).double().mean())

    members = [right(posteriors) for posteriors in _of_members(stack).values()]
    for name, posteriors in _posteriors(subject, stack).items():
        share, mean = right(posteriors), sum(members) / len(members)
        require(
            share >= KEPT * mean,
            f"{title(name)} is right about {share:.0%} of utterances, its members about {mean:.0%}: are the classes "
            f"in the order {list(table.labels.names)}?",
        )


def attributes(subject: Subject) -> None:
    """The attributes are those of the members in the same order and on the same scale: nearly as concordant with
    labels.
    """
    stack = stack_for(subject)
    table = stack.posteriors.table
    known = {name: _concordance(posteriors, table) for name, posteriors in _of_members(stack).items()}
    for name, combined in combined_models(subject, stack).items():
        named = list(combined.head.attributes)
        require(
            named == list(table.attribute_names),
            f"the head of {title(name)} should have the attributes {list(table.attribute_names)}, got {named}",
        )
        posteriors = _infer(as_checkpoint(combined, stack, name), combined, stack)
        for attribute, value in _concordance(posteriors, table).items():
            mean = sum(each[attribute] for each in known.values()) / len(known)
            require(
                value >= KEPT * mean,
                f"the concordance of {title(name)} with {attribute!r} is {value:.2f}, of its members {mean:.2f}: "
                f"are the attributes in the order {named}, and on their own scale?",
            )


def joined_by_id(subject: Subject) -> None:
    """Members are joined by id; the order of their rows does not matter."""
    stack = stack_for(subject)
    models, again = combined_models(subject, stack), combined_models(subject, stored_anew(stack))
    require(
        list(models) == list(again), f"models are named {list(models)}, and {list(again)} for rows in another order"
    )
    for name in models:
        one, other = (_infer(as_checkpoint(made[name], stack, name), made[name], stack) for made in (models, again))
        what = f"{title(name)} for members that keep their rows in another order (read them by the ids of the table)"
        require_near(other, one, what, tolerance=1e-5)


def member_order(subject: Subject) -> None:
    """The order of the members matters little: nine out of ten answers are the same."""
    stack = stack_for(subject)
    classes = len(stack.posteriors.table.labels)
    one, other = _posteriors(subject, stack), _posteriors(subject, turned(stack))
    require(list(one) == list(other), f"models are named {list(one)}, and {list(other)} for members in another order")
    for name in one:
        same = one[name][:, :classes].argmax(1) == other[name][:, :classes].argmax(1)
        share = float(same.float().mean())
        require(
            share >= SAME_ANSWER,
            f"with its members in another order {title(name)} gives the same class for {share:.0%}, "
            f"not for {SAME_ANSWER:.0%}",
        )


def repeatable(subject: Subject) -> None:
    """The same stack gives the same models, whatever the global random states."""
    results: list[Models] = []
    for seed in (1, 2):
        with global_seeds(seed):
            results.append(combined_models(subject, stack_for(subject)))
    changed = differing(*results)
    require(
        list(results[0]) == list(results[1]) and not changed,
        f"a second time, under other global seeds, models differ ({', '.join(map(title, changed))}): draw from a "
        f"generator with a seed of its own",
    )


def stack_unchanged(subject: Subject) -> None:
    """Members, their posteriors and inputs, labels and the prior are not changed."""
    stack, wanted = stack_for(subject), stack_for(subject)
    combined_models(subject, stack)
    require(list(stack.members) == list(wanted.members), "the dictionary of members was changed")
    for name, member in wanted.members.items():
        for key, value in member.weights.items():
            same = torch.equal(stack.members[name].weights[key], value)
            require(same, f"{key!r} of the member {name!r} was changed in place: compute new tensors")
    table = wanted.posteriors.table
    for what, data, before in (
        ("posteriors of", stack.posteriors, wanted.posteriors),
        ("input", stack.inputs, wanted.inputs),
    ):
        assert data is not None  # for type checkers: the made-up stack has both
        assert before is not None
        for name, source in before.sources.items():
            same = all(torch.equal(data.sources[name][id], source[id]) for id in table.ids)
            require(same, f"the {what} {name!r} changed in place: compute new tensors")
    for array in ("targets", "consensus", "attributes"):
        same = np.array_equal(getattr(stack.posteriors.table, array), getattr(table, array), equal_nan=True)
        require(same, f"`{array}` of the table was changed in place: work on a copy")
    require(torch.equal(stack.prior, wanted.prior), "the prior was changed in place: work on a copy")


def posteriors_alone(subject: Subject) -> None:
    """Members of which only the posteriors are known are combined, or refused with EnsembleError."""
    stack = replace(stack_for(subject), members={}, inputs=None)
    try:
        models = combined_models(subject, stack)
    except EnsembleError:
        return
    for name, combined in models.items():
        require(
            combined.features == "members",
            f"{title(name)} reads the members' inputs, which are not there: raise EnsembleError where "
            f"`stack.members` is empty or `stack.inputs` is None",
        )


CONTRACTS = (
    names,
    checkpoint,
    label_set,
    attributes,
    joined_by_id,
    member_order,
    repeatable,
    stack_unchanged,
    fit_on,
    leak,
    posteriors_alone,
    never_right,
)


def _posteriors(subject: Subject, stack: Stack) -> dict[str, Tensor]:
    """Of each model those of the stack's utterances, (N, C + A)."""
    return {
        name: _infer(as_checkpoint(combined, stack, name), combined, stack)
        for name, combined in combined_models(subject, stack).items()
    }


def _of_members(stack: Stack) -> dict[str, Tensor]:
    """The posteriors of each member, (N, C + A)."""
    ids = stack.posteriors.table.ids
    return {name: torch.cat([source[id] for id in ids]) for name, source in stack.posteriors.sources.items()}


def _infer(model: Checkpoint, combined: Combined, stack: Stack) -> Tensor:
    data = stack.posteriors if combined.features == "members" else stack.inputs
    if data is None:
        raise BrokenError("the model reads the members' inputs, which are not there")
    return infer(model.classifier(), data, device=CPU)


def _concordance(posteriors: Tensor, table: LabelTable) -> dict[str, float]:
    """The concordance with each attribute, over the utterances that have it."""
    values = posteriors[:, len(table.labels) :].double().numpy()  # (N, A)
    present = table.attributes == table.attributes
    return {
        name: ccc(table.attributes[present[:, a], a], values[present[:, a], a])
        for a, name in enumerate(table.attribute_names)
    }
