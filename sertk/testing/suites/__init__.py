"""One suite for each kind of component, used alike by core, by shipped plugins and by strangers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from sertk.errors import UnknownNameError, did_you_mean
from sertk.registry import REGISTRIES
from sertk.testing.suites.base import Check, Contract, Subject

MODALITIES = ("fusion", "regularizer", "aggregator")
"""The kinds whose checks can be given modalities of a component's own."""

LEAST_INPUTS = 6
"""Features that members need to tell the made-up classes and attributes apart, one for each."""


def contracts(kind: str) -> dict[str, Contract]:
    """The checks of a kind by name, in their order. Raises UnknownNameError for an unknown kind."""
    if kind not in REGISTRIES:
        raise UnknownNameError(
            f"There is no kind {kind!r}. {did_you_mean(kind, REGISTRIES)}Kinds: {', '.join(REGISTRIES)}."
        )
    module = import_module(f"sertk.testing.suites.{kind}")
    functions: tuple[Contract, ...] = module.CONTRACTS
    return {function.__name__: function for function in functions}


def suite(subject: Subject, leave_out: Mapping[str, str]) -> list[Check]:
    """See `sertk.testing.checks`."""
    kind, name = subject.kind, subject.name
    known = contracts(kind)
    if name not in REGISTRIES[kind]:
        REGISTRIES[kind].get(name)  # raises, with the nearest name
    for contract, reason in leave_out.items():
        if contract not in known:
            hint = did_you_mean(contract, known)
            raise UnknownNameError(f"There is no check {contract!r} of a {kind}. {hint}Known: {', '.join(known)}.")
        if not reason.strip():
            raise ValueError(f"the check {contract!r} of {name!r} is left out without a reason: give one")
    _refuse_misplaced(subject)
    return [Check(subject, function) for contract, function in known.items() if contract not in leave_out]


def _refuse_misplaced(subject: Subject) -> None:
    """Raise ValueError for arguments that the checks of a kind do not use, or cannot."""
    kind = subject.kind
    if subject.dims and kind not in MODALITIES:
        raise ValueError(f"dims are for {', '.join(MODALITIES)}: the checks of a {kind} have no modalities")
    if subject.members and kind != "aggregator":
        raise ValueError(f"members are for aggregators: the checks of a {kind} have none")
    if subject.other and kind != "encoder":
        raise ValueError(f"other is for encoders: no check of a {kind} uses it")
    if (subject.example is not None) != (kind == "corpus"):
        raise ValueError("example writes a small copy of a corpus: the checks of a corpus need it, no others take it")
    if kind == "aggregator" and subject.dims and sum(subject.dims.values()) < LEAST_INPUTS:
        raise ValueError(
            f"dims of an aggregator should be {LEAST_INPUTS} or more in all, or its members know too little, "
            f"got {dict(subject.dims)}"
        )
    if bad := {name: dim for name, dim in subject.dims.items() if type(dim) is not int or dim < 1}:
        raise ValueError(f"dims should be a width of 1 or more for each modality, got {bad}")
