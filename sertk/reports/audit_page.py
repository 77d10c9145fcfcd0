"""An audit as tables, and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sertk.data.audio_stats import SHORT_SECONDS
from sertk.pages import render
from sertk.tables import Table, to_html

ODD = {
    "silent": "silent recordings",
    "over_full_scale": "recordings with samples above full scale",
    "clipped": "clipped recordings",
    "offset": "recordings whose mean is not zero (offset)",
    "short": f"recordings shorter than {SHORT_SECONDS:g} s",
    "no_length": "recordings without a length in their header",
}
SIZES = {"utterances": "utterances", "speakers": "speakers", "unknown speaker": "unknown_speaker", "hours": "hours"}
QUARTILES = ("min", "lower", "median", "upper", "max")


def audit_page(report: Mapping[str, Any]) -> str:
    """Write the page of an audit, as `sertk.data.audit.audit` gives it."""
    splits = report["splits"]
    sizes = [[name, *(part[key] for key in SIZES.values())] for name, part in splits.items()]
    seconds = [[name, *(part["seconds"].get(key) for key in QUARTILES)] for name, part in splits.items()]
    return render(
        "audit.html",
        report=report,
        findings=findings(report),
        sizes=Table(("split", *SIZES), sizes),
        classes={name: part["classes"] for name, part in splits.items()},
        votes={name: part["vote_shares"] for name, part in splits.items()},
        durations=Table(("split", *QUARTILES), seconds),
        agreement=agreement_table(report),
        to_html=to_html,
    )


def split_tables(splits: Mapping[str, Any]) -> list[Table]:
    """Two tables by split: sizes with durations, and classes by consensus with their shares of the labelled."""
    columns = ("split", "utterances", "speakers", "hours", "shortest s", "median s", "longest s")
    sizes = [
        (
            *(name, part["utterances"], part["speakers"], part["hours"]),
            *(part["seconds"].get(key) for key in ("min", "median", "max")),
        )
        for name, part in splits.items()
    ]
    classes = list(next(iter(splits.values()))["classes"]) if splits else []
    by_class = [(name, *(_share(part["classes"], name) for part in splits.values())) for name in classes]
    return [Table(columns, sizes), Table(("class", *splits), by_class)]


def agreement_table(report: Mapping[str, Any]) -> Table:
    """The agreement of the raters, of all and by split."""
    names = list(report["agreement"]["attribute_alpha"])
    columns = ("agreement", "rated", "votes each", "alpha", "entropy bits", *(f"alpha {name}" for name in names))
    parts = {"all": report["agreement"], **{name: part["agreement"] for name, part in report["splits"].items()}}
    keys = ("utterances", "votes_each", "alpha", "entropy_bits")
    rows = [
        (name, *(part[key] for key in keys), *(part["attribute_alpha"][one] for one in names))
        for name, part in parts.items()
    ]
    return Table(columns, rows)


def findings(report: Mapping[str, Any]) -> list[tuple[str, int, list[str]]]:
    """What may be wrong, how often, and the first cases."""
    shared = report["shared_speakers"]
    missing = report["transcripts"]["missing"]
    found = [
        ("faults of the manifest", report["faults"]["count"], [": ".join(f) for f in report["faults"]["listed"]]),
        (
            "speakers in two splits",
            sum(pair["count"] for pair in shared),
            [f"{' and '.join(pair['splits'])}: {', '.join(pair['listed'])}" for pair in shared],
        ),
        ("utterances without a transcript", missing["count"], missing["listed"]),
    ]
    sound = report["recordings"]
    if sound is None:
        return found
    same, bad, formats = sound["duplicates"], sound["bad"], sound["formats"]
    return [
        *found,
        ("recordings under several ids", same["count"], [", ".join(ids) for ids in same["listed"]]),
        ("recordings that cannot be read", bad["count"], [": ".join(one) for one in bad["listed"]]),
        *((what, sound[key]["count"], sound[key]["listed"]) for key, what in ODD.items()),
        (
            "recordings that are not in the most common format",
            sum(list(formats.values())[1:]),
            [f"{name}: {count:,}" for name, count in formats.items()],
        ),
    ]


def concern_lines(report: Mapping[str, Any], cases: int = 3) -> list[str]:
    """A line for each concern of an audit, with its first cases."""
    lines = []
    for one in report["concerns"]:
        shown = "; ".join(one["listed"][:cases]) + ("; ..." if one["count"] > cases else "")
        lines.append(f"{one['kind']}: {one['message']}{f': {shown}' if shown else ''}")
    return lines


def _share(classes: Mapping[str, int], name: str) -> str | None:
    total = sum(classes.values())
    return f"{classes[name]:,} ({classes[name] / total:.1%})" if total else None
