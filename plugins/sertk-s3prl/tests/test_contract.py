"""`s3prl` keeps the contract of its kind."""

from __future__ import annotations

import pytest

from sertk.testing import checks
from sertk.testing.suites.base import Check

pytest.importorskip("s3prl", reason="needs s3prl: pip install sertk-s3prl")


@pytest.mark.parametrize(
    "check", checks("encoder", "s3prl", options={"upstream": "fbank"}, other={"upstream": "mfcc"})
)
def test_contract(check: Check) -> None:
    check()
