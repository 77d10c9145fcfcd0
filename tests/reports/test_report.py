from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.reports.gather import find_sources, gather
from sertk.reports.page import render

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@pytest.fixture
def exp(tmp_path: Path, make_corpus: Callable[..., Manifest], make_system: Callable[..., Predictions]) -> Path:
    """An experiment folder as a recipe leaves it: audio, manifest, two systems on two splits, two trained models."""
    corpus = make_corpus(120, speakers=6)
    generator = np.random.default_rng(0)
    folder = tmp_path / "exp"
    (folder / "data").mkdir(parents=True)
    for utterance in corpus:
        tone = 0.3 * np.sin(np.arange(round(16_000 * (utterance.duration or 1))) * generator.uniform(0.05, 0.3))
        soundfile.write(folder / "data" / utterance.audio, tone, 16_000)
    corpus.write(folder / "data" / "manifest.jsonl.gz")
    for split in ("test", "held_out"):
        for name, skill in (("ensembles-soup", 0.7), ("members-01", 0.3)):
            make_system(corpus, skill=skill, split=split).write(folder / "predictions" / split / f"{name}.csv")
    for name in ("members/01", "ensembles/meta/1", "ensembles/meta/1/members/01"):
        model = folder / name
        model.mkdir(parents=True)
        (model / "config.toml").write_text('seed = 7\n[features]\na = "features/<a>"\n')
        card = {
            "encoders": {"a": {"use": "logmel", "dim": 80, "fingerprint": "f" * 40}},
            "versions": {"sertk": "0.1.0"},
        }
        (model / "card.json").write_text(json.dumps(card))
    rows = [
        {"stage": stage, "epoch": n, "losses": {"cross_entropy": 2 / n, "total": 3 / n}, "score": 0.2 + 0.01 * n}
        for stage, first in (("full", 1), ("balanced", 6))
        for n in range(first, first + 5)
    ]
    (folder / "members/01/history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


class Page(HTMLParser):
    """The tags of a page, checked to close in order."""

    VOID = {"meta", "link", "br", "img", "line", "circle", "rect", "polyline"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_whole_and_asks_for_nothing(exp: Path) -> None:
    text = render(gather(find_sources(exp), clips=3, draws=50), command="sertk report exp")
    page = Page(text)
    assert page.open == []
    assert not page.all("script")
    addresses = [a[key] for _, a in page.tags for key in ("src", "href", "srcset") if key in a]
    assert addresses
    assert all(address and address.startswith("data:") for address in addresses)
    assert "http" not in re.sub(r"http-equiv|base64,[A-Za-z0-9+/=]+", "", text)
    assert "url(" not in text
    assert len(page.all("audio")) == 2 * 2 * 3  # splits, confused and ambiguous, clips
    drawings = page.all("svg")
    assert len(drawings) >= 2 * (1 + 4 + 2 + 3) + 2
    assert all(len(svg["aria-label"] or "") > 20 for svg in drawings)


def test_a_cross_validation_is_reported_from_its_pooled_predictions(exp: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crossval"
    pooled = folder / "pooled"
    (folder / "pooled").mkdir(parents=True)
    for path in (exp / "predictions" / "test").iterdir():
        (pooled / path.name).write_bytes(path.read_bytes())
    corpus = Manifest.read(exp / "data" / "manifest.jsonl.gz")
    corpus.write(pooled / "manifest.jsonl.gz")
    report = gather(find_sources(folder), clips=0, draws=20)
    assert [part.split for part in report.parts] == ["test"]
    assert {system.name for system in report.parts[0].systems} == {"ensembles-soup", "members-01"}


def test_the_page_says_what_was_run_and_how_it_went(exp: Path) -> None:
    report = gather(find_sources(exp), clips=1, draws=50)
    text = render(report, command="sertk report exp --seed 1")
    assert [part.split for part in report.parts] == ["held_out", "test"]
    assert report.parts[1].best == "ensembles-soup"
    assert [model.name for model in report.models] == ["ensembles/meta/1", "members/01"]
    value = report.parts[1].systems[0].score.metrics["macro_f1"].value
    for wanted in (
        f"{value:.3f}",
        report.fingerprint[:16],
        "sertk report exp --seed 1",
        "logmel",
        "seed = 7",
        "Training",
    ):
        assert wanted in text
    assert "features/&lt;a&gt;" in text


def test_clips_are_the_surest_mistakes_and_the_least_agreed(exp: Path) -> None:
    part = gather(find_sources(exp), clips=4, draws=20).parts[1]
    sure = [float(re.findall(r"with ([\d.]+)", clip.why)[0]) for clip in part.confused]
    spread = [float(clip.why.split()[0]) for clip in part.ambiguous]
    assert len(sure) == len(spread) == 4
    assert min(sure) > 1 / 4
    assert spread == sorted(spread, reverse=True)
    assert all(clip.utterance.emotion not in (None, clip.why.split()[3]) for clip in part.confused)


def test_a_recording_that_cannot_be_read_is_named_in_its_place(exp: Path) -> None:
    for path in (exp / "data").glob("*.wav"):
        path.write_bytes(b"")
    text = render(gather(find_sources(exp), clips=1, draws=20))
    assert "<audio" not in text
    assert "the file is empty" in text


def test_names_from_outside_are_text_not_markup(
    exp: Path, make_corpus: Callable[..., Manifest], make_system: Callable[..., Predictions]
) -> None:
    evil = "<script>alert(1)</script>"
    target = exp / "predictions" / "test" / "members-01.csv"
    target.rename(target.with_name("<b onload=x>.csv"))
    manifest = Manifest.read(exp / "data" / "manifest.jsonl.gz")
    replace(manifest, corpus=evil, note=evil).write(exp / "data" / "manifest.jsonl.gz")
    page = Page(render(gather(find_sources(exp), clips=1, draws=20)))
    assert not page.all("script")
    assert not [a for a in page.all("b") if a]


def test_an_unlabelled_split_is_passed_over(exp: Path) -> None:
    path = exp / "data" / "manifest.jsonl.gz"
    manifest = Manifest.read(path)
    blank = [replace(u, emotion=None, votes={}) if u.split == "test" else u for u in manifest]
    manifest.with_utterances(blank).write(path)
    assert [part.split for part in gather(find_sources(exp), draws=20).parts] == ["held_out"]


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no predictions"):
        find_sources(tmp_path)


def test_the_verb_writes_once_and_again_only_when_something_changed(
    exp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["report", str(exp), "--clips", "1", "--draws", "20"]
    assert main(words) == 0
    first = (exp / "report.html").read_bytes()
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    assert main([*words, "--force"]) == 0
    assert "report" in capsys.readouterr().out
    (exp / "predictions" / "test" / "members-01.csv").unlink()
    assert main(words) == 0
    assert (exp / "report.html").read_bytes() != first


class Browser:
    """Chromium without a window, spoken to in its DevTools protocol over two pipes. events: all that it told."""

    HAND_OVER = "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 30); os.dup2(w, 31); " + (
        "os.dup2(30, 3); os.dup2(31, 4); os.execv(sys.argv[3], sys.argv[3:])"
    )

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--remote-debugging-pipe"]
        words += ["--autoplay-policy=no-user-gesture-required", "--disable-background-networking"]
        words += [f"--user-data-dir={profile}", "about:blank"]
        handed = [sys.executable, "-c", self.HAND_OVER, str(theirs_in), str(theirs_out), *words]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(handed, pass_fds=(theirs_in, theirs_out), stdout=quiet, stderr=quiet)
        os.close(theirs_in)
        os.close(theirs_out)
        self.rest, self.number, self.session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.into], [], [], 60)
            part = os.read(self.into, 1 << 20) if ready else b""
            assert part, "the browser said nothing for a minute"
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return dict(json.loads(message))

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())

    def evaluate(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"]["value"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self.out)
        os.close(self.into)


PLAY = """(async () => {
  const played = [];
  for (const player of document.querySelectorAll("audio")) {
    await player.play();
    for (let tries = 0; tries < 60 && player.currentTime === 0; tries++) await new Promise(done => setTimeout(done, 50));
    played.push(player.currentTime > 0 && player.duration > 0.5 && player.error === null);
    player.pause();
  }
  return played;
})()"""
PLOTS = """[...document.querySelectorAll("svg")].filter(plot => plot.checkVisibility()).map(
  plot => plot.getBBox().width > 50 && plot.getBBox().height > 30 && plot.ariaLabel.length > 20)"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
def test_a_browser_shows_plots_plays_recordings_and_asks_for_nothing(exp: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    assert main(["report", str(exp), "--clips", "2", "--draws", "20"]) == 0
    browser = Browser(CHROMIUM, tmp_path / "profile")
    try:
        browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        browser.open((exp / "report.html").as_uri())
        played, plots = browser.evaluate(PLAY), browser.evaluate(PLOTS)
        wider = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        colours = []
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    finally:
        browser.close()
    told = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
    assert [event for event in browser.events if event["method"] in told] == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [(exp / "report.html").as_uri()]
    assert played == [True] * 8
    assert len(plots) >= 18
    assert all(plots)
    assert wider <= 0
    assert colours == ["rgb(255, 255, 255)", "rgb(18, 22, 29)"]


def test_predictions_that_are_in_no_folder_of_a_split_are_told_by_their_ids(exp: Path) -> None:
    whole = {part.split: part for part in gather(find_sources(exp), draws=20).parts}
    for path in (exp / "predictions" / "test").iterdir():
        path.rename(exp / "predictions" / path.name)
    (exp / "predictions" / "test").rmdir()
    moved = {part.split: part for part in gather(find_sources(exp), draws=20).parts}
    assert moved == whole
    strange = Predictions.read(exp / "predictions" / "members-01.csv")
    replace(strange, ids=tuple(f"other-{name}" for name in strange.ids)).write(exp / "predictions" / "other.csv")
    with pytest.raises(DataError, match=r"other\.csv predicts no utterance of .*manifest"):
        find_sources(exp)


def test_a_model_beside_the_predictions_is_shown_too(exp: Path) -> None:
    (exp / "members/01").rename(exp / "mine")
    (exp / "mine" / "model.safetensors").touch()
    (exp / "features" / "logmel").mkdir(parents=True)
    (exp / "features" / "logmel" / "card.json").write_text("{}")  # of a store, not of a model
    assert set(find_sources(exp).models) == {"mine", "ensembles/meta/1"}
