"""What every aggregator keeps: `(*, options)` to a function of a stack of members that gives one model or several."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sertk.checkpoint import Checkpoint
from sertk.contracts import Aggregator, Combined, Stack
from sertk.data.labels import NO_AGREEMENT
from sertk.errors import EnsembleError
from sertk.testing.suites.base import BrokenError, Subject, global_seeds, require, require_near
from sertk.testing.suites.made_up_members import CPU, a_stack, as_checkpoint, stored_anew, turned
from sertk.training.evaluate import infer

SAME_ANSWER = 0.9
"""The share of utterances whose class may not hang on the order of the members."""


def names(subject: Subject) -> None:
    """It gives one model named "", or several under names that are good for folders."""
    made = _combined(subject, a_stack())
    require(isinstance(made, dict) and len(made) > 0, f"it gave {made!r}, no dictionary of models")
    require(list(made) == [""] or "" not in made, f"models are named {list(made)}")
    for name, combined in made.items():
        require(isinstance(combined, Combined), f"it gave a {type(combined).__name__}, no Combined")
        require(not name or re.fullmatch(r"[\w.-]+", name) is not None, f"{name!r} is not good for a folder")


def checkpoint(subject: Subject) -> None:
    """What it makes can be saved, loads again and predicts: finite probabilities that sum to 1, and attributes."""
    stack = a_stack()
    classes = len(stack.posteriors.table.labels)
    for name, combined in _combined(subject, stack).items():
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            as_checkpoint(combined, stack, name).save(saved)
            said = _infer(Checkpoint.load(saved), combined, stack)
        width = classes + len(stack.posteriors.table.attribute_names)
        require(said.shape[1] == width, f"{name!r} gives {said.shape[1]} numbers an utterance, not C + A = {width}")
        require_near(said[:, :classes].sum(1), torch.ones(len(said)), f"{name!r}: probabilities, summed")


def label_set(subject: Subject) -> None:
    """Classes and attributes stay those of the members, in their order, and are told apart better than by chance."""
    stack = a_stack()
    table = stack.posteriors.table
    agreed = table.consensus != NO_AGREEMENT
    truth = torch.from_numpy(table.consensus[agreed])
    for name, (combined, said) in _said(subject, stack).items():
        require(
            combined.head.attributes == list(table.attribute_names),
            f"{name!r} has the attributes {combined.head.attributes}, the members {list(table.attribute_names)}",
        )
        right = said[torch.from_numpy(agreed), : len(table.labels)].argmax(1) == truth
        share = float(right.float().mean())
        require(share > 0.6, f"{name!r} is right about {share:.0%} of utterances of which its members are about 90 %")


def joined_by_id(subject: Subject) -> None:
    """Members are joined by id: the order in which they keep their rows does not matter."""
    stack = a_stack()
    found, again = _combined(subject, stack), _combined(subject, stored_anew(stack))
    require(
        list(found) == list(again), f"models are named {list(found)}, and {list(again)} from rows in another order"
    )
    for name in found:
        one, other = (_infer(as_checkpoint(made[name], stack, name), made[name], stack) for made in (found, again))
        require_near(other, one, f"{name!r} from rows in another order", tolerance=1e-5)


def member_order(subject: Subject) -> None:
    """The order in which members are named decides little: nine in ten answers stay."""
    stack = a_stack()
    classes = len(stack.posteriors.table.labels)
    one, other = _said(subject, stack), _said(subject, turned(stack))
    require(list(one) == list(other), f"models are named {list(one)}, and {list(other)} for members turned round")
    for name in one:
        same = one[name][1][:, :classes].argmax(1) == other[name][1][:, :classes].argmax(1)
        share = float(same.float().mean())
        require(share >= SAME_ANSWER, f"{name!r}: members turned round give the same class for only {share:.0%}")


def repeatable(subject: Subject) -> None:
    """The same stack gives the same weights, whatever the global random states."""
    found = []
    for seed in (1, 2):
        with global_seeds(seed):
            found.append(_combined(subject, a_stack()))
    for name, combined in found[0].items():
        require(name in found[1], f"a second time, no model is named {name!r}")
        for key, value in combined.weights.items():
            require_near(found[1][name].weights[key], value, f"{key!r} of {name!r}, a second time", tolerance=1e-6)


def stack_unchanged(subject: Subject) -> None:
    """Members, their posteriors and the prior are read, never changed."""
    stack, wanted = a_stack(), a_stack()
    _combined(subject, stack)
    require(list(stack.members) == list(wanted.members), "the members were changed")
    for name, member in wanted.members.items():
        for key, value in member.weights.items():
            require(torch.equal(stack.members[name].weights[key], value), f"{key!r} of the member {name!r} changed")
        for id in wanted.posteriors.table.ids:
            same = torch.equal(stack.posteriors.sources[name][id], wanted.posteriors.sources[name][id])
            require(same, f"what {name!r} says of {id} was changed")
    require(torch.equal(stack.prior, wanted.prior), "the prior was changed")


def leak(subject: Subject) -> None:
    """Utterances that a member was trained on are refused with EnsembleError, or the notes say `fit_on`."""
    stack = a_stack()
    leaking = replace(stack, leaked=frozenset(stack.posteriors.table.ids[:5]))
    try:
        made = _aggregator(subject)(leaking)
    except EnsembleError:
        return
    for name, combined in made.items():
        said = combined.notes.get("fit_on")
        require(isinstance(said, str) and said != "", f"with leaked utterances, {name!r} notes no fit_on: {said!r}")


def posteriors_alone(subject: Subject) -> None:
    """Members known by their posteriors alone are combined, or refused with EnsembleError."""
    stack = replace(a_stack(), members={}, inputs=None)
    try:
        made = _aggregator(subject)(stack)
    except EnsembleError:
        return
    for name, combined in made.items():
        require(combined.features == "members", f"{name!r} reads inputs that nobody has")


CONTRACTS = (
    names,
    checkpoint,
    label_set,
    joined_by_id,
    member_order,
    repeatable,
    stack_unchanged,
    leak,
    posteriors_alone,
)


def _aggregator(subject: Subject) -> Aggregator:
    aggregator: Aggregator = subject.build()
    return aggregator


def _combined(subject: Subject, stack: Stack) -> dict[str, Combined]:
    return _aggregator(subject)(stack)


def _said(subject: Subject, stack: Stack) -> dict[str, tuple[Combined, Tensor]]:
    """Each model and its posteriors of the stack's utterances, (N, C + A)."""
    return {
        name: (combined, _infer(as_checkpoint(combined, stack, name), combined, stack))
        for name, combined in _combined(subject, stack).items()
    }


def _infer(model: Checkpoint, combined: Combined, stack: Stack) -> Tensor:
    data = stack.posteriors if combined.features == "members" else stack.inputs
    if data is None:
        raise BrokenError("the model reads inputs that nobody has")
    return infer(model.classifier(), data, device=CPU)
