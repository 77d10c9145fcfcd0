"""The report as one HTML page that needs nothing else: no script, no font, no picture, no request."""

# Longer than others: one page, whose sections stand here in the order in which they are read.
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from sertk.errors import DataError
from sertk.reports.audio import data_uri
from sertk.reports.gather import Clip, Model, Part, Report, System
from sertk.reports.made_by import made_by
from sertk.reports.plots import Bar, Line, confusion_plot, curves_plot, intervals_plot, reliability_plot
from sertk.reports.score_tables import chance_sentences, classes_table, systems_table
from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.groups import Group
from sertk.scoring.names import metric_names
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import RULE
from sertk.tables import cell, listing, to_html

METRICS = metric_names("micro_f1")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
FEWEST = 10
"""Utterances that a speaker must have to stand in the plot by speaker."""
SPEAKERS = 24


def render(report: Report, *, command: str = "") -> str:
    """The page. command: what to type to make it again. Recordings that cannot be read are named in their place."""
    style = files("sertk.reports").joinpath("report.css").read_text(encoding="utf-8")
    sections = [_section_run(report, command)]
    for part in report.parts:
        sections += _part(report, part)
    if any(model.history for model in report.models):
        sections.append(_section_training(report.models))
    if report.models:
        sections.append(_section_models(report.models))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{escape(report.title)}</title><style>{style}</style></head>'
        f"<body><header><h1>{escape(report.title)}</h1><p>{escape(report.manifest.corpus)}</p></header><main>\n"
        + "\n".join(sections)
        + f"\n</main><footer><p>Made by {escape(made_by())}.</p></footer></body></html>\n"
    )


def _section_run(report: Report, command: str) -> str:
    first = report.parts[0].systems[0].score
    seeds = sorted({model.seed for model in report.models if model.seed is not None})
    made = next(iter(report.models), None)
    versions = made.card.get("versions", {}) if made else {}
    facts = {
        "corpus": report.manifest.corpus,
        "manifest": report.fingerprint[:16],
        "classes": ", ".join(report.manifest.labels.names),
        "splits": ", ".join(part.split for part in report.parts),
        "models": str(len(report.models)),
        "seeds": ", ".join(map(str, seeds)),
        "intervals": f"{LEVEL:.0%}, {first.method}" if first.method else "none",
        "means": RULE,
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "command": command,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    note = f'<p class="note">{escape(report.manifest.note)}</p>' if report.manifest.note else ""
    return _section("What was run", f"{note}<dl>{rows}</dl>")


def _part(report: Report, part: Part) -> list[str]:
    systems, split = part.systems, part.split
    first = systems[0].score
    intro = (
        f"<p>{first.utterances} utterances, {first.consensus} with a consensus, {first.voted} with votes, of "
        f"{first.who}. {escape(' '.join(chance_sentences(first)))}</p>"
    ) + "".join(f'<p class="note">{escape(remark[0].upper() + remark[1:])}.</p>' for remark in _remarks(systems))
    agreed = [one for one in systems if one.score.classes]
    sections = [_section(f"Systems on {split}", intro + _overview(agreed, part.best) + _scores(systems, part.best))]
    if agreed:
        best = next(one for one in agreed if one.name == part.best)
        sections.append(_section(f"Classes: {part.best} on {split}", to_html(classes_table(best.score))))
        sections.append(_section(f"Confusions on {split}", "".join(_confusions(one, one is best) for one in agreed)))
        plots = "".join(
            _figure(_reliability(one), f"{one.name}, ECE {cell(one.score.metrics.get('ece'))}") for one in agreed
        )
        about = "<p>A system is calibrated if its dots are on the diagonal; larger dots are more utterances.</p>"
        sections.append(_section(f"Reliability on {split}", about + f'<div class="grid-of small">{plots}</div>'))
    if part.groups:
        sections.append(_section(f"Groups: {part.best} on {split}", _groups(part.groups)))
    for title, clips in (("Most confused", part.confused), ("Most ambiguous", part.ambiguous)):
        if clips:
            items = "".join(_clip(report, clip) for clip in clips)
            sections.append(_section(f"{title}: {part.best} on {split}", f'<ol class="clips">{items}</ol>'))
    return sections


def _remarks(systems: Sequence[System]) -> list[str]:
    """What limits the figures of all systems, and of one alone under its name."""
    each = {system.name: remarks(system.score) for system in systems}
    common = [remark for remark in each[systems[0].name] if all(remark in others for others in each.values())]
    return common + [f"{name}: {remark}" for name, own in each.items() for remark in own if remark not in common]


def _overview(systems: Sequence[System], best: str) -> str:
    if not systems:
        return ""
    bars = []
    for one in systems:
        found = one.score.metrics["macro_f1"]
        bars.append(Bar(one.name, found.value, found.low, found.high, strong=one.name == best))
    return _figure(intervals_plot("macro-F1 by system", bars, axis="macro-F1"), "macro-F1 with 95 % intervals")


def _scores(systems: Sequence[System], best: str) -> str:
    return to_html(systems_table({one.name: one.score for one in systems}, METRICS, strong=best))


def _confusions(one: System, opened: bool) -> str:
    names = [item.name for item in one.score.classes]
    label = f"Confusions of {one.name}"
    counts = _figure(confusion_plot(f"{label}, counts", names, one.score.confusion, shares=False), "counts")
    shares = _figure(
        confusion_plot(f"{label}, shares", names, one.score.confusion, shares=True), "share of the true class"
    )
    state = " open" if opened else ""
    return (
        f'<details{state}><summary>{escape(one.name)}</summary><div class="grid-of">{counts}{shares}</div></details>'
    )


def _reliability(one: System) -> str:
    bins = [(item.confidence, item.accuracy, item.count) for item in one.score.reliability]
    return reliability_plot(f"Reliability of {one.name}", bins)


def _groups(rows: Sequence[Group]) -> str:
    figures = []
    for by in ("corpus", "gender", "duration", "agreement"):
        bars = [_bar(one) for one in rows if one.by == by]
        if bars:
            figures.append(_figure(intervals_plot(f"macro-F1 by {by}", bars, axis="macro-F1"), f"by {by}"))
    speakers = [one for one in rows if one.by == "speaker" and one.utterances >= FEWEST]
    if speakers:
        lowest = sorted(speakers, key=lambda one: one.metrics["accuracy"].value)[:SPEAKERS]
        bars = [Bar(f"{one.name} ({one.utterances})", one.metrics["accuracy"].value) for one in lowest]
        text = (
            f"the {len(bars)} speakers with the lowest accuracy, of {len(speakers)} with {FEWEST} utterances or more"
        )
        figures.append(_figure(intervals_plot("accuracy by speaker", bars, axis="accuracy"), text))
    return f'<div class="grid-of">{"".join(figures)}</div>'


def _bar(one: Group) -> Bar:
    found = one.metrics["macro_f1"]
    return Bar(f"{one.name} ({one.utterances})", found.value, found.low, found.high)


def _clip(report: Report, clip: Clip) -> str:
    utterance = clip.utterance
    try:
        source = data_uri(report.manifest, utterance)
        player = f'<audio controls preload="metadata" src="{source}" aria-label="{escape(utterance.id)}"></audio>'
    except DataError as error:
        player = f'<p class="note">{escape(str(error))}</p>'
    words = f"<blockquote>{escape(utterance.text)}</blockquote>" if utterance.text else ""
    shares = "".join(
        f"<li>{escape(name)}: {'no votes' if votes is None else f'votes {votes:.2f}'}, predicted {predicted:.2f}</li>"
        for name, votes, predicted in clip.shares
    )
    who = ", ".join(part for part in (utterance.speaker, utterance.gender) if part)
    return (
        f"<li><p><b>{escape(clip.why)}</b><br><small>{escape(utterance.id)} {escape(who)}</small></p>"
        f"{player}{words}<ul>{shares}</ul></li>"
    )


def _section_training(models: Sequence[Model]) -> str:
    figures = "".join(
        f"<h3>{escape(model.name)}</h3><div class='grid-of'>{_curves(model)}</div>"
        for model in models
        if model.history
    )
    return _section("Training", figures)


def _curves(model: Model) -> str:
    """The loss terms and the score of the dev split over the epochs of all stages, one after the other."""
    marks: list[tuple[float, str]] = []
    for number, row in enumerate(model.history, start=1):
        if not marks or row["stage"] != marks[-1][1]:
            marks.append((number, str(row["stage"])))
    terms = dict.fromkeys(term for row in model.history for term in row["losses"])
    losses = [
        Line(
            term, [(n, row["losses"][term]) for n, row in enumerate(model.history, start=1) if term in row["losses"]]
        )
        for term in terms
    ]
    scores = [Line("dev", [(n, row["score"]) for n, row in enumerate(model.history, start=1)])]
    return _figure(
        curves_plot(f"Losses of {model.name}", losses, axis="loss", marks=marks), "losses, unweighted, and total"
    ) + (_figure(curves_plot(f"Score of {model.name}", scores, axis="score", marks=marks), "score on the dev split"))


def _section_models(models: Sequence[Model]) -> str:
    items = []
    for model in models:
        encoders = model.card.get("encoders", {})
        rows = [
            [name, str(spec.get("use", "")), str(spec.get("dim", "")), str(spec.get("fingerprint", ""))[:16]]
            for name, spec in encoders.items()
        ]
        table = to_html(listing(("input", "encoder", "dimensions", "fingerprint"), rows)) if rows else ""
        weights = str(model.card.get("weights_sha256", ""))[:16]
        text = f"<p>weights {escape(weights)}</p>" if weights else ""
        items.append(
            f"<details><summary>{escape(model.name)}</summary>{text}{table}<pre>{escape(model.config)}</pre></details>"
        )
    return _section("Models and their configuration", "".join(items))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _figure(svg: str, caption: str) -> str:
    return f'<figure><div class="scroll">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'
