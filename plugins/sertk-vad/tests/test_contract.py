from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check


@pytest.mark.parametrize("check", checks("segmenter", "speech"))
def test_contract(check: Check) -> None:
    check()
