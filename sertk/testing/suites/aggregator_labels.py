"""What aggregators do with labels: which they may read, and what they note about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sertk.contracts import Combined, Stack
from sertk.data.labels import NO_AGREEMENT
from sertk.ensemble.aggregators import NOTHING
from sertk.errors import EnsembleError, SertkError
from sertk.testing.suites.base import Subject, near, require
from sertk.testing.suites.made_up_members import always_wrong, combined_models, relabelled, stack_for

HELD_OUT = "held_out"

Models = Mapping[str, Combined]


def fit_on(subject: Subject) -> None:
    """The notes name under `fit_on` what was fitted on, and "nothing" only if the labels have no influence."""
    stack = stack_for(subject)
    models = combined_models(subject, stack)
    for name, combined in models.items():
        note = combined.notes.get("fit_on")
        require(
            isinstance(note, str) and note != "",
            f"the notes of {title(name)} should have a text under `fit_on`, such as {HELD_OUT!r}, got {note!r}",
        )
    changed = differing(models, combined_models(subject, relabelled(stack, stack.posteriors.table.ids)))
    for name in changed:
        require(
            models[name].notes["fit_on"] != NOTHING,
            f"{title(name)} notes that it was fitted on {NOTHING!r}, and other labels give another model: whoever "
            f"combines it again would not see the leak. Note what it was fitted on, such as {HELD_OUT!r}",
        )


def leak(subject: Subject) -> None:
    """Labels of utterances that a member was trained on have no influence: they are refused with EnsembleError or
    left out, unless an option asks for them; then `fit_on` names them.
    """
    stack = stack_for(subject)
    table = stack.posteriors.table
    agreed = [id for id, index in zip(table.ids, table.consensus, strict=True) if index != NO_AGREEMENT]
    for ids in (agreed[:1], agreed[: len(agreed) // 2], list(table.ids)):
        leaking = replace(stack, leaked=frozenset(ids))
        try:
            models = combined_models(subject, leaking)
        except EnsembleError:
            continue
        for name in differing(models, combined_models(subject, relabelled(leaking, ids))):
            require(
                _is_asked_for(subject, leaking),
                f"the labels of {len(ids)} of {len(table)} utterances that a member was trained on decide "
                f"{title(name)}: raise EnsembleError where `stack.leaked` is not empty, or leave them out",
            )
            note = models[name].notes.get("fit_on")
            require(
                isinstance(note, str) and note not in ("", NOTHING, HELD_OUT),
                f"{title(name)} was fitted on utterances that a member was trained on, as an option asks, and notes "
                f"that it was fitted on {note!r}: note the leak, such as 'train'",
            )


def never_right(subject: Subject) -> None:
    """Members that give no utterance its class are combined into finite weights, or refused with EnsembleError."""
    stack = always_wrong(stack_for(subject))
    try:
        models = combined_models(subject, stack)
    except EnsembleError:
        return
    for name, combined in models.items():
        for key, value in combined.weights.items():
            require(
                bool(value.isfinite().all()),
                f"{key!r} of {title(name)} is not finite where no member is ever right: is something divided by a "
                f"sum of scores, which is 0? Weigh such members alike, or raise EnsembleError",
            )


def title(name: str) -> str:
    """A model for a message."""
    return f"the model {name!r}" if name else "the model"


def differing(models: Models, others: Models) -> list[str]:
    """Names of models that are not the same in others: their fusion, their head or their weights."""

    def same(one: Combined, other: Combined | None) -> bool:
        return (
            other is not None
            and (one.fusion, one.head, list(one.weights)) == (other.fusion, other.head, list(other.weights))
            and all(near(one.weights[key], other.weights[key], tolerance=1e-6) for key in one.weights)
        )

    return [name for name, combined in models.items() if not same(combined, others.get(name))]


def _is_asked_for(subject: Subject, leaking: Stack) -> bool:
    """Whether one of the options given is why leaked utterances are not refused."""
    for option in subject.options:
        try:
            combined_models(subject.without(option), leaking)
        except EnsembleError:
            return True
        except SertkError:  # it is an option that is needed
            continue
    return False
