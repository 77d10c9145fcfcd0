"""Emotion over time: recordings of any length to spans, curves and summaries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn_of_edited, warn_of_left_out, warn_of_remarks
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.contracts import Segmenter
from sertk.data.find import find_files, recordings_of
from sertk.data.sound import open_recording
from sertk.errors import DataError, Fault, UsageError
from sertk.features.plan import spoken_seconds
from sertk.files import write_text
from sertk.inference.model import Model, load
from sertk.inference.over_time import Rules, decided, merged, results
from sertk.inference.timeline_provenance import plan
from sertk.outputs import making_in, refuse_collisions
from sertk.progress import Advance, Bars, duration, silent
from sertk.provenance import Provenance, is_current
from sertk.ready import guidance, model_folder
from sertk.registry import segmenters
from sertk.tables import to_csv
from sertk.timelines.formats import WRITERS
from sertk.timelines.spans import Curve, Span, Timeline
from sertk.timelines.summary import summary

SUMMARY = ".summary.csv"


@dataclass
class Timelines:
    """What `timeline` gives.

    timelines: of all recordings, where they were not written to a folder. written, up_to_date: the folders of those
    that were. left_out: recordings without a timeline, and why. seconds: of audio that was analysed.
    """

    timelines: list[Timeline] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    up_to_date: list[Path] = field(default_factory=list)
    left_out: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    took_s: float = 0.0


def timeline(
    model: str | Path | Model,
    audio: str | Path | Sequence[str | Path],
    *,
    into: str | Path | None = None,
    formats: Sequence[str] = ("jsonl",),
    segmenter: str = "windows",
    smooth: float = Rules.smooth_s,
    confidence: float | None = None,
    shortest: float = Rules.shortest_s,
    device: str = "auto",
    force: bool = False,
    progress: Bars = silent,
    **options: Any,
) -> Timelines:
    """Give the emotion over time of recordings, in time and memory that do not grow with more than their length.

    Parameters
    ----------
    model
        The folder of a trained model or ensemble, the name of a ready one, or a model from `sertk.load`.
    audio
        Recordings, and folders that are searched for recordings.
    into
        A folder that gets one folder per recording, `NAME.wav/`, with a file per format and a summary. What is there
        already and was made from the same is kept, so that an interrupted call goes on where it stopped.
    formats
        Names of formats, such as `jsonl` and `csv`.
    segmenter
        How a recording is divided: `windows`, `spans`, or one of a plugin, such as `speech`.
    smooth
        Seconds over which posteriors and attributes are smoothed; 0 leaves them as they are.
    confidence
        A span whose likeliest class has a lower probability is "unsure"; by default as the model's card says, or 0.3.
    shortest
        Seconds; a shorter span joins the one before it.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Make timelines again that are up to date.
    progress
        Opens a bar for the work.
    options
        Of the segmenter, such as `length=4.0`.

    Returns
    -------
    Timelines
        A bad recording is left out, listed and warned of.

    Raises
    ------
    SertkError
        AudioError for a path that does not exist, CheckpointError for a folder that is no model, ConfigError for an
        option that the segmenter does not take, OutputError for a folder that something else made.
    """
    paths = [Path(audio)] if isinstance(audio, str | Path) else [Path(path) for path in audio]
    if unknown := [name for name in formats if name not in WRITERS]:
        raise UsageError(f"there is no format {unknown[0]!r}: choose of {', '.join(WRITERS)}")
    place = model.checkpoint.folder if isinstance(model, Model) else model_folder(model)
    rules, use = rules_of(place, smooth, confidence, shortest), Use(use=segmenter, **options)
    component: Segmenter = build(segmenters, use)
    report = Timelines()
    files, unread = find_files(paths)
    report.left_out += unread
    folders: dict[Path, Path] = {}
    made: dict[Path, Provenance] = {}
    if into is not None:
        if place is None:
            raise UsageError("a model without a folder has no files that decide what is up to date: leave out into")
        folders = {file: _folder(Path(into), file, paths) for file in files}
        refuse_collisions([Path(into)], paths)
        if len({*folders.values()}) < len(files):
            raise UsageError(f"two recordings would have one folder in {into}: give their folders one by one")
        made = plan(place, use, rules, formats)(files)
        if not force:
            report.up_to_date = [folders[file] for file in files if is_current(folders[file], made[file])]
        done = {*report.up_to_date}
        files = [file for file in files if folders[file] not in done]
    if not files:
        return report
    loaded = model if isinstance(model, Model) else load(model_folder(model), device=device)
    recordings, unfit = recordings_of(files, words=False)
    report.left_out += unfit
    total = sum(spoken_seconds(recording) for recording in recordings)
    with progress("seconds of audio", round(total)) as advance:
        pace = _Pace(total, advance)
        for recording in recordings:
            path = Path(recording.id)
            try:
                found = _timeline(loaded, path, component, rules, pace)
            except DataError as error:
                report.left_out.append(Fault(str(path), str(error)))
                continue
            if into is None:
                report.timelines.append(found)
                continue
            names = {f"{path.name}{ending}": name for name in formats for ending in [WRITERS[name].ending]}
            with making_in(folders[path], made[path], [*names, f"{path.name}{SUMMARY}"]) as edited:
                for file, name in names.items():
                    write_text(folders[path] / file, WRITERS[name].text(found))
                write_text(folders[path] / f"{path.name}{SUMMARY}", to_csv(summary(found)))
            warn_of_edited(edited)
            report.written.append(folders[path])
    report.seconds, report.took_s = pace.done, pace.took_s
    warn_of_left_out(report.left_out)
    return report


def rules_of(model: Path | None, smooth: float, confidence: float | None, shortest: float = 0.0) -> Rules:
    """The rules for a model, whose card may say below which probability it is unsure."""
    if confidence is None:
        confidence = float(guidance(model).get("unsure_below", Rules.confidence)) if model else Rules.confidence
    return Rules(smooth, confidence, shortest)


class _Pace:
    """Says how much audio is done, and how fast."""

    def __init__(self, total: float, advance: Advance) -> None:
        self.done = 0.0
        self._total, self._advance = total, advance
        self._shown, self._began = 0, time.monotonic()

    @property
    def took_s(self) -> float:
        return time.monotonic() - self._began

    def reached(self, seconds: float) -> None:
        """So many seconds of all recordings are done."""
        self.done = max(self.done, seconds)
        rate = self.done / max(self.took_s, 1e-9)
        left = duration(max(0.0, self._total - self.done) / rate) if rate else "unknown"
        self._advance(int(self.done) - self._shown, f"{rate:.0f} h of audio per hour  left {left}")
        self._shown = int(self.done)


def _timeline(model: Model, path: Path, segmenter: Segmenter, rules: Rules, pace: _Pace) -> Timeline:
    card = model.checkpoint.card
    before = pace.done
    remarks: list[Fault] = []
    cells: list[Span] = []
    with open_recording(path) as sound:
        for span in decided(results(model, sound, segmenter, remark=remarks.append), card.labels, rules):
            cells.append(span)
            pace.reached(before + span.end_s)
    warn_of_remarks(Fault(f"{path} {remark.place}", remark.message) for remark in remarks)
    rated = [((cell.start_s + cell.end_s) / 2, cell.attributes) for cell in cells if cell.attributes]
    return Timeline(
        recording=str(path),
        duration_s=sound.received_s,
        labels=tuple(card.labels),
        attribute_names=tuple(card.ranges),
        ranges=tuple(card.ranges.values()),
        spans=tuple(merged(cells, rules.shortest_s)),
        curve=Curve(tuple(time for time, _ in rated), tuple(values for _, values in rated)),
    )


def _folder(into: Path, file: Path, given: Sequence[Path]) -> Path:
    """The folder of a recording's timeline: its path below the folder that was given, or its name."""
    for path in given:
        if file != path and file.is_relative_to(path):
            return into / file.relative_to(path)
    return into / file.name
