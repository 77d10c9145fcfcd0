from __future__ import annotations

from collections.abc import Callable
from typing import Any

import catalogue
import pytest

from sertk.registry import REGISTRIES
from sertk.testing import checks
from sertk.testing.suites.base import PAGE, ContractError

NAME = "made_up_component"


@pytest.fixture
def broken() -> Callable[..., set[str]]:
    """The names of the contracts that a factory breaks, its suite run from one end to the other."""

    def run(kind: str, factory: Callable[..., Any], **given: Any) -> set[str]:
        registry = REGISTRIES[kind]
        registry.register(NAME, func=factory)
        try:
            messages: dict[str, str] = {}
            for check in checks(kind, NAME, **given):
                try:
                    check()
                except ContractError as error:
                    messages[check.contract.__name__] = str(error)
        finally:
            catalogue._remove((*registry.namespace, NAME))
        for contract, message in messages.items():
            assert f"the {kind} '{NAME}' breaks the contract `{contract}`: " in message
            assert f"{PAGE}#{kind}-{contract}" in message
        return set(messages)

    return run
