"""`msp_podcast` keeps the contract of a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
from sertk_toy.corpus import write_toy_corpus

from sertk.testing import checks
from sertk.testing.suites.base import Check


def write_example(folder: Path) -> None:
    write_toy_corpus(folder, utterances=64, seed=3)


@pytest.mark.parametrize("check", checks("corpus", "msp_podcast", example=write_example))
def test_contract(check: Check) -> None:
    check()
