"""The README.md beside a model's weights, as the Hugging Face hub shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sertk.config.files import resolved_toml
from sertk.config.schema import Experiment
from sertk.pages import render
from sertk.tables import Table, listing, to_markdown


def model_card(card: Mapping[str, Any], challenge_legal: bool, experiment: Experiment) -> str:
    """Write a model card from a checkpoint's card (as a dictionary) and its experiment."""
    encoders = [
        (name, spec["use"], spec["modality"], str(spec["dim"]), f"`{spec['fingerprint'][:12]}`")
        for name, spec in card["encoders"].items()
    ]
    return render(
        "model_card.md",
        card=card,
        challenge_legal=challenge_legal,
        experiment=experiment,
        encoders=listing(("name", "encoder", "modality", "dim", "fingerprint"), encoders),
        metrics={name: _metrics(score["metrics"]) for name, score in card["scores"].items()},
        versions=", ".join(f"{name} {version}" for name, version in card["versions"].items()),
        toml=resolved_toml(experiment),
        to_markdown=to_markdown,
    )


def _metrics(metrics: Mapping[str, Mapping[str, float | None]]) -> Table:
    """The scores of one split."""
    return listing(("metric", "value"), [(name, _value(value)) for name, value in metrics.items()])


def _value(value: Mapping[str, float | None]) -> str | None:
    if value["value"] is None:
        return None
    bounds = f" [{value['low']:.3f}, {value['high']:.3f}]" if value["low"] is not None else ""
    return f"{value['value']:.3f}{bounds}"
