"""What `sertk.testing.checks` gives and refuses, and the page that its messages point to."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sertk.errors import UnknownNameError
from sertk.registry import REGISTRIES
from sertk.testing import checks
from sertk.testing.suites import contracts

PAGE = Path(__file__).parents[2] / "docs" / "design" / "contracts.md"


def test_checks_have_readable_ids() -> None:
    ids = [check.__name__ for check in checks("fusion", "concat")]
    assert ids[:2] == ["concat-width", "concat-unequal_dims"]
    assert len(set(ids)) == len(ids) > 8


def test_what_there_is_not_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no kind 'fusions'. Did you mean 'fusion'"):
        checks("fusions", "concat")
    with pytest.raises(UnknownNameError, match=r"no fusion 'conact'. Did you mean 'concat'"):
        checks("fusion", "conact")
    with pytest.raises(UnknownNameError, match=r"no check 'paddings' of a fusion. Did you mean 'padding'"):
        checks("fusion", "concat", leave_out={"paddings": "it may"})


def test_a_check_is_left_out_for_a_reason_alone() -> None:
    left = [check.contract.__name__ for check in checks("fusion", "concat", leave_out={"padding": "it may"})]
    assert "padding" not in left
    assert "neighbours" in left
    with pytest.raises(ValueError, match="without a reason"):
        checks("fusion", "concat", leave_out={"padding": " "})


def test_wrong_options_fail_the_checks_with_the_message_of_the_options() -> None:
    check = checks("fusion", "concat", options={"poling": "mean"})[0]
    with pytest.raises(AssertionError, match="Did you mean 'pooling'"):
        check()


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_contract_stands_on_the_page_as_its_check_says_it(kind: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, function in contracts(kind).items():
        said = re.search(rf"^### {kind} {name}\n\n(.*?)(?:\n\n|\Z)", page, re.M | re.S)
        assert said, f"{kind} {name}"
        assert " ".join(said[1].split()) == " ".join((inspect.getdoc(function) or "").split())
    described = set(re.findall(rf"^### {kind} (\w+)$", page, re.M))
    assert described == set(contracts(kind))
