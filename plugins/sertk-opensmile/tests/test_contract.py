"""`opensmile` keeps the contract of its kind."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check

pytest.importorskip("opensmile", reason="needs opensmile: pip install sertk-opensmile")


@pytest.mark.parametrize("check", checks("encoder", "opensmile", other={"level": "lld"}))
def test_contract(check: Check) -> None:
    check()
