"""`manifold_mixup` keeps the contract of its kind."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check


@pytest.mark.parametrize("check", checks("regularizer", "manifold_mixup"))
def test_contract(check: Check) -> None:
    check()
