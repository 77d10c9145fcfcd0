"""From a name and its options to a component: the signature is the schema."""

from __future__ import annotations

from typing import Any

import pytest

from sertk.config.build import build
from sertk.config.options import options_model
from sertk.config.schema import Use
from sertk.errors import BrokenPluginError, ConfigError, UnknownNameError
from sertk.registry import aggregators, fusions, samplers


def test_a_factory_gets_what_sertk_gives_and_what_the_recipe_sets() -> None:
    assert build(samplers, Use(use="tiny_sampler", batch_size=3), "table", 1) == ("table", 1, 3)


def test_options_arrive_in_the_types_of_the_signature() -> None:
    _, width, dropout, *_, rates, _ = build(fusions, Use(use="tiny_fusion", dropout=1, rates=[1, 2]), {})
    assert width == 8
    assert isinstance(dropout, float)
    assert rates == (1.0, 2.0)


def test_components_named_by_options_arrive_as_uses() -> None:
    sampler, loss = build(aggregators, Use(use="tiny_aggregator", loss=[{"use": "tiny_loss", "weight": 2.0}]))
    assert sampler == Use(use="tiny_sampler")
    assert [term.weight for term in loss] == [2.0]


def test_all_faults_of_the_options_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build(fusions, Use(use="tiny_fusion", widht=1, bias="no"), {})
    assert {fault.place for fault in caught.value.faults} == {"widht", "bias"}
    assert caught.value.source == "fusion 'tiny_fusion'"


def test_an_unknown_component_cannot_be_built() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny_fusion'"):
        build(fusions, Use(use="tiny_fuson"), {})


def test_a_factory_with_the_signature_of_another_kind_is_named() -> None:
    with pytest.raises(
        BrokenPluginError, match=r"the sampler 'tiny_sampler' .* does not have the signature of its kind"
    ):
        build(samplers, Use(use="tiny_sampler"))


def test_names_that_only_type_checkers_know_are_allowed_before_the_slash() -> None:
    given = fusions.get("tiny_fusion").__annotations__["dims"]
    assert given == "'NeverImported'"
    assert "dims" not in options_model(fusions.get("tiny_fusion")).model_fields


def test_an_option_of_an_unknown_type_is_a_broken_plugin() -> None:
    def factory(*, width: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        """Do nothing."""

    def nested(*, widths: list["Nowhere"]) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        """Do nothing."""

    with pytest.raises(BrokenPluginError, match=r"the option 'width' of .* is annotated 'Nowhere'"):
        options_model(factory)
    with pytest.raises(BrokenPluginError, match=r"nested cannot be checked: .*'Nowhere' is not defined"):
        options_model(nested)


def test_a_factory_with_unnamed_options_is_a_broken_plugin() -> None:
    def factory(**options: Any) -> None:
        """Do nothing."""

    with pytest.raises(BrokenPluginError, match=r"takes \*\*options: its options must be named"):
        options_model(factory)


def test_an_option_may_have_a_name_that_pydantic_uses_itself() -> None:
    def factory(*, copy: int = 1, model_name: str = "x") -> None:
        """Do nothing."""

    assert list(options_model(factory).model_fields) == ["copy", "model_name"]
