"""What the test suites of sertk and of its plugins share: checks, fixtures and a made-up corpus.

from sertk.testing import checks

@pytest.mark.parametrize("check", checks("fusion", "attentive", options={"width": 16}))
def test_contract(check):
    check()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sertk.testing.suites.base import Check


def checks(
    kind: str,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    other: Mapping[str, Any] | None = None,
    leave_out: Mapping[str, str] | None = None,
) -> list[Check]:
    """All that a component of a kind must satisfy, as calls without arguments, one a parameter of a pytest test.

    options: as a recipe would give them; small ones make quick checks. other: options that give another output, where
    the kind has a check that needs such (encoders: `fingerprint`). leave_out: checks that the component's own
    documentation exempts it from, each with the reason. A check raises ContractError (an AssertionError) that says
    which contract was broken and where it is explained. Raises UnknownNameError for a kind, a component or a check
    that there is not, and ValueError for a check left out without a reason.
    """
    from sertk.testing.suites import suite

    return suite(kind, name, options or {}, other or {}, leave_out or {})
