"""The fusion of adopted heads keeps the contract of its kind, in each of its forms."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check

FORMS = (
    {"frame_widths": [12, 9], "widths": [8]},
    {"pooling": "attentive_statistics", "widths": [8], "norm": True},
    {"pooling": "max", "activation": "tanh"},
)


@pytest.mark.parametrize("check", [check for form in FORMS for check in checks("fusion", "adopted", options=form)])
def test_contract(check: Check) -> None:
    check()
