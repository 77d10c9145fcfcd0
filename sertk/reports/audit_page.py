"""An audit as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from sertk.data.audio_stats import SHORT_SECONDS

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { font-weight: 600 } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .9rem; text-align: right }
th:first-child, td:first-child { text-align: left } tbody tr:nth-child(odd) { background: #f6f7f8 }
.bar { display: inline-block; height: .7em; background: #4a7fb5; margin-right: .4em; vertical-align: baseline }
.good { color: #27713a } .bad { color: #a32020 } details { margin: .4rem 0 } code { font-size: 90% }
"""


def audit_page(report: dict[str, Any]) -> str:
    """Write the page of an audit, as `sertk.data.audit.audit` gives it."""
    splits = report["splits"]
    parts = [
        f"<h1>Audit of {escape(report['corpus'])}</h1>",
        f"<p>{report['utterances']:,} utterances. {escape(report['note'])}</p>",
        "<h2>Findings</h2>",
        *_findings(report),
        "<h2>Splits</h2>",
        _table(("split", *SIZES), [[name, *_sizes(part)] for name, part in splits.items()]),
        "<h2>Classes by consensus</h2>",
        _shares({name: part["classes"] for name, part in splits.items()}),
        "<h2>Shares of the votes</h2>",
        _shares({name: part["vote_shares"] for name, part in splits.items()}),
        "<h2>Durations in seconds</h2>",
        _table(
            ("split", *QUARTILES), [[n, *(part["seconds"].get(q) for q in QUARTILES)] for n, part in splits.items()]
        ),
        "<h2>Agreement of the raters</h2>",
        _agreement(report),
    ]
    title = escape(f"Audit of {report['corpus']}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def findings(report: dict[str, Any]) -> list[tuple[str, int, list[str]]]:
    """What may be wrong, how often, and the first cases."""
    shared = report["shared_speakers"]
    sound = report["recordings"]
    found = [
        ("faults of the manifest", report["faults"]["count"], [": ".join(f) for f in report["faults"]["listed"]]),
        (
            "speakers in two splits",
            sum(pair["count"] for pair in shared),
            [f"{' and '.join(pair['splits'])}: {', '.join(pair['listed'])}" for pair in shared],
        ),
        (
            "utterances without a transcript",
            report["transcripts"]["missing"]["count"],
            report["transcripts"]["missing"]["listed"],
        ),
    ]
    if sound is not None:
        found += [
            (
                "recordings under several ids",
                sound["duplicates"]["count"],
                [", ".join(i) for i in sound["duplicates"]["listed"]],
            ),
            ("recordings that cannot be read", sound["bad"]["count"], [": ".join(b) for b in sound["bad"]["listed"]]),
            *((what, sound[key]["count"], sound[key]["listed"]) for key, what in ODD.items()),
            (
                "recordings that are not in the most common format",
                sum(list(sound["formats"].values())[1:]),
                list(map(_format, sound["formats"].items())),
            ),
        ]
    return found


ODD = {
    "silent": "silent recordings",
    "over_full_scale": "recordings with samples above full scale",
    "clipped": "clipped recordings",
    "offset": "recordings whose mean is not zero (offset)",
    "short": f"recordings shorter than {SHORT_SECONDS:g} s",
    "no_length": "recordings without a length in their header",
}
SIZES = ("utterances", "speakers", "unknown speaker", "hours")
QUARTILES = ("min", "lower", "median", "upper", "max")


def _findings(report: dict[str, Any]) -> Iterable[str]:
    for what, count, cases in findings(report):
        if not count:
            yield f'<p class="good">no {escape(what)}</p>'
        else:
            rows = "<br>".join(f"<code>{escape(case)}</code>" for case in cases)
            yield f'<details><summary class="bad">{count:,} {escape(what)}</summary>{rows}</details>'
    if report["recordings"] is None:
        yield "<p>The recordings were not read.</p>"


def _sizes(part: dict[str, Any]) -> list[Any]:
    return [part["utterances"], part["speakers"], part["unknown_speaker"], part["hours"]]


def _shares(by_split: dict[str, dict[str, float]]) -> str:
    """A row a class and a column a split, each cell with its share as a bar."""
    names = list(dict.fromkeys(name for counts in by_split.values() for name in counts))
    rows = []
    for name in names:
        cells = [f"<td>{escape(name)}</td>"]
        for counts in by_split.values():
            total = sum(value or 0 for value in counts.values())
            share = (counts.get(name) or 0) / total if total else 0.0
            cells.append(f'<td><span class="bar" style="width:{share * 8:.2f}em"></span>{share:.1%}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead>{_row('th', ['class', *by_split])}</thead><tbody>{''.join(rows)}</tbody></table>"


def _agreement(report: dict[str, Any]) -> str:
    names = list(report["agreement"]["attribute_alpha"])
    header = ("split", "rated", "votes each", "alpha", "entropy, bits", *(f"alpha, {name}" for name in names))
    parts = {"all": report["agreement"], **{name: part["agreement"] for name, part in report["splits"].items()}}
    rows = [
        [
            *(name, part["utterances"], part["votes_each"], part["alpha"], part["entropy_bits"]),
            *(part["attribute_alpha"][attribute] for attribute in names),
        ]
        for name, part in parts.items()
    ]
    return _table(header, rows) + "<p>Alpha is Krippendorff's: 1 if all agree, 0 for agreement by chance.</p>"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    body = "".join(_row("td", [_cell(cell) for cell in row]) for row in rows)
    return f"<table><thead>{_row('th', header)}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _format(counted: tuple[str, int]) -> str:
    return f"{counted[0]}: {counted[1]:,}"
