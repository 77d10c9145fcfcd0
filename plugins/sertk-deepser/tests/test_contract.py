"""`deepser` keeps the contract of its kind."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check


@pytest.mark.parametrize("check", checks("fusion", "deepser", options={"width": 16, "heads": 2, "ffn_dim": 24}))
def test_contract(check: Check) -> None:
    check()
