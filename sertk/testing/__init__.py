"""What the test suites of sertk and of its plugins share: checks and fixtures.

from sertk.testing import checks

@pytest.mark.parametrize("check", checks("fusion", "attentive", options={"width": 16}))
def test_contract(check):
    check()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sertk.testing.suites.base import Check


def checks(
    kind: str,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    other: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    members: Mapping[str, Any] | None = None,
    example: Callable[[Path], object] | None = None,
    leave_out: Mapping[str, str] | None = None,
) -> list[Check]:
    """All that a component of a kind must satisfy, as calls without arguments, one for each parameter of a test.

    options: as a recipe would give them; small ones make quick checks. other: for encoders, further values of options
    that give other frames; values that a type or a default suggests are tried without being named. dims: the width of
    each modality that a fusion or regularizer needs, or that the members of an aggregator read; without it, several
    are tried. members: for aggregators, the fusion of the members as an experiment names it, such as
    {"use": "late", "width": 8}; `concat` without it. example: for corpora, a function that writes a small copy of the
    corpus, with recordings, into the folder that it is given and creates. leave_out: checks that the component's own
    documentation exempts it from, each with the reason. A check raises ContractError (an AssertionError) that says
    which contract was broken and where it is explained. Raises UnknownNameError for an unknown kind, component or
    check, and ValueError for a check left out without a reason and for an argument that the checks of the kind do not
    use.
    """
    from sertk.testing.suites import suite
    from sertk.testing.suites.base import Subject

    subject = Subject(
        kind, name, dict(options or {}), dict(other or {}), dict(dims or {}), dict(members or {}), example
    )
    return suite(subject, leave_out or {})
