"""The README.md beside a model's weights, as the Hugging Face hub shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sertk.config.files import resolved_toml
from sertk.config.schema import Experiment


def model_card(card: Mapping[str, Any], challenge_legal: bool, experiment: Experiment) -> str:
    """Write a model card from a checkpoint's card (as a dictionary) and its experiment."""
    encoders = "\n".join(
        f"| {name} | {spec['use']} | {spec['modality']} | {spec['dim']} | `{spec['fingerprint'][:12]}` |"
        for name, spec in card["encoders"].items()
    )
    attributes = ", ".join(f"{name} ({low:g} to {high:g})" for name, (low, high) in card["ranges"].items())
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    notes = "\n".join(f"* {name.replace('_', ' ')}: {value}" for name, value in card["notes"].items())
    return f"""---
library_name: sertk
tags: [speech-emotion-recognition]
---
# {card["name"]}

A speech emotion recognition model made with sertk. It gives a probability for each of {", ".join(card["labels"])}\
{", and " + attributes if attributes else ""}. Its answers describe how the listeners of one corpus rated voices; they
are no measurement of what a person feels.

Use: `sertk predict FOLDER recording.wav`

## Inputs
| name | encoder | modality | dim | fingerprint |
|---|---|---|---|---|
{encoders}

Transcripts: {card["text_source"] or "not used"}. Challenge-legal (no encoder trained on emotion labels): \
{"yes" if challenge_legal else "no"}.

## Scores
{_scores(card["metrics"], card["scores"])}

## Data
Manifest fingerprint `{card["data_fingerprint"][:16]}`. Targets: {experiment.data.targets}.
{notes}

## Made with
{versions}

```toml
{resolved_toml(experiment)}```
"""


def _scores(metrics: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> str:
    chosen = [f"* {name}, which chose the epoch: {value:.4f}" for name, value in metrics.items()]
    if not scores:
        how = "`sertk score PREDICTIONS.csv --manifest MANIFEST --split SPLIT --card FOLDER` puts scores here."
        chosen.append(how if chosen else f"Not measured yet. {how}")
    parts = ["\n".join(chosen)] if chosen else []
    return "\n\n".join(parts + [_split(name, score) for name, score in scores.items()])


def _split(name: str, score: Mapping[str, Any]) -> str:
    """The scores of one split as a table."""
    rows = "\n".join(f"| {metric} | {_value(value)} |" for metric, value in score["metrics"].items())
    remarks = "".join(f"\n* {remark}" for remark in score["remarks"])
    brackets = f" In brackets: {score['intervals']}." if score["intervals"] else ""
    about = f"{score['utterances']} utterances of {score['speakers']}.{brackets}"
    classes = f"{score['classes'][0].upper()}{score['classes'][1:]}."
    table = f"### {name}\n{about} {classes}\n\n| metric | value |\n|---|---|\n{rows}"
    return f"{table}\n{remarks}" if remarks else table


def _value(value: Mapping[str, float | None]) -> str:
    if value["value"] is None:
        return "–"
    bounds = f" [{value['low']:.3f}, {value['high']:.3f}]" if value["low"] is not None else ""
    return f"{value['value']:.3f}{bounds}"
