"""`meta_classifier` keeps the contract of its kind."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check


@pytest.mark.parametrize(
    "check",
    checks("aggregator", "meta_classifier", options={"seeds": [1, 2], "epochs": 1, "least_steps": 60, "lr": 0.02}),
)
def test_contract(check: Check) -> None:
    check()
