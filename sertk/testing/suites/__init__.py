"""One suite a kind of component, used alike by core, by shipped plugins and by strangers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sertk.errors import UnknownNameError, did_you_mean
from sertk.registry import REGISTRIES
from sertk.testing.suites.base import Check, Contract, Subject


def contracts(kind: str) -> dict[str, Contract]:
    """The checks of a kind by name, in their order. Raises UnknownNameError for a kind that there is not."""
    if kind not in REGISTRIES:
        raise UnknownNameError(
            f"There is no kind {kind!r}. {did_you_mean(kind, REGISTRIES)}Kinds: {', '.join(REGISTRIES)}."
        )
    module = import_module(f"sertk.testing.suites.{kind}")
    found: tuple[Contract, ...] = module.CONTRACTS
    return {function.__name__: function for function in found}


def suite(
    kind: str, name: str, options: Mapping[str, Any], other: Mapping[str, Any], leave_out: Mapping[str, str]
) -> list[Check]:
    """See `sertk.testing.checks`."""
    known = contracts(kind)
    if name not in REGISTRIES[kind]:
        REGISTRIES[kind].get(name)  # raises, with the nearest name
    for contract, reason in leave_out.items():
        if contract not in known:
            hint = did_you_mean(contract, known)
            raise UnknownNameError(f"There is no check {contract!r} of a {kind}. {hint}Known: {', '.join(known)}.")
        if not reason.strip():
            raise ValueError(f"the check {contract!r} of {name!r} is left out without a reason: give one")
    subject = Subject(kind, name, dict(options), dict(other))
    return [Check(subject, function) for contract, function in known.items() if contract not in leave_out]
