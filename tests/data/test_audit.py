"""The audit finds what is wrong with a corpus, and measures agreement as Krippendorff does."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.agreement import interval_alpha, mean_entropy, nominal_alpha
from sertk.data.audio_stats import ODD, audio_stats
from sertk.data.audit import audit
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.reports.audit_page import audit_page, findings

EIGHT = LabelSet(("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN")

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): four observers, twelve units, 0 for no value.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 0 0 0
1 2 3 3 2 2 4 1 2 5 0 3
0 3 3 3 2 3 4 2 2 5 1 0
1 2 3 3 2 4 4 1 2 5 1 0
"""
RATED = np.array(
    [[int(cell) for cell in line.split()] for line in OBSERVERS.strip().splitlines()]
)  # (observers, units)


def utterance(name: str, split: str = "train", **fields: object) -> Utterance:
    return Utterance(name, f"{name}.wav", split=split, **fields)  # type: ignore[arg-type]


def manifest_of(*utterances: Utterance, folder: Path = Path()) -> Manifest:
    return Manifest("made_up", EIGHT, {"arousal": (1.0, 7.0)}, utterances, folder=folder)


@pytest.fixture
def heard(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 0.1, 16_000), rng.normal(0, 0.1, (44_100, 2))
    soundfile.write(tmp_path / "a.wav", one, 16_000)
    soundfile.write(tmp_path / "again.flac", soundfile.read(tmp_path / "a.wav")[0], 16_000)
    soundfile.write(tmp_path / "stereo.wav", two, 44_100)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "hush.wav", np.zeros(16_000), 16_000)
    (tmp_path / "text.wav").write_text("no audio")
    names = ("a.wav", "again.flac", "stereo.wav", "silent.wav", "hush.wav", "text.wav", "gone.wav")
    return manifest_of(*(Utterance(Path(n).stem, n, split="train") for n in names), folder=tmp_path)


def test_nominal_alpha_is_that_of_the_published_example() -> None:
    votes = np.array([[(unit == value).sum() for value in range(1, 6)] for unit in RATED.T], dtype=float)
    assert nominal_alpha(votes) == pytest.approx(0.743, abs=5e-4)


def test_interval_alpha_is_that_of_the_published_example() -> None:
    values = np.where(RATED == 0, np.nan, RATED).astype(float)
    units = np.broadcast_to(np.arange(12), RATED.shape)
    assert interval_alpha(values.ravel(), units.ravel()) == pytest.approx(0.849, abs=5e-4)
    assert interval_alpha(values.ravel() + 1e6, units.ravel()) == pytest.approx(0.849, abs=5e-4)


def test_alpha_is_one_when_all_agree_and_near_zero_by_chance() -> None:
    assert nominal_alpha(np.array([[3.0, 0], [0, 4]])) == 1.0
    chance = np.random.default_rng(1).multinomial(5, [0.25] * 4, size=4000).astype(float)
    assert nominal_alpha(chance) == pytest.approx(0, abs=0.02)


def test_alpha_has_no_value_without_raters_or_differences() -> None:
    assert np.isnan(nominal_alpha(np.zeros((3, 2))))
    assert np.isnan(nominal_alpha(np.array([[1.0, 0], [0, 1]])))  # single votes say nothing of agreement
    assert np.isnan(nominal_alpha(np.array([[2.0, 0], [3, 0]])))
    assert np.isnan(interval_alpha(np.array([np.nan, 1.0]), np.array([0, 0])))
    assert np.isnan(interval_alpha(np.array([]), np.array([], dtype=np.int64)))


def test_entropy_is_in_bits() -> None:
    assert mean_entropy(np.array([[2.0, 2, 0], [3, 0, 0], [0, 0, 0]])) == 0.5
    assert np.isnan(mean_entropy(np.zeros((2, 3))))


def test_recordings_that_are_silent_doubled_odd_or_broken_are_found(heard: Manifest) -> None:
    found = audit(heard, audio_stats(heard))["recordings"]
    assert found["formats"] == {"16000 Hz, 1 channel": 4, "44100 Hz, 2 channels": 1}
    assert found["duplicates"] == {"count": 1, "listed": [["a", "again"]]}
    assert found["silent"] == {"count": 2, "listed": ["silent", "hush"]}
    assert [name for name, _ in found["bad"]["listed"]] == ["text", "gone"]


def test_loud_clipped_shifted_short_and_lengthless_recordings_are_found(tmp_path: Path) -> None:
    time = np.arange(16_000) / 16_000
    voice = 0.5 * np.sin(2 * np.pi * 180 * time) * np.sin(2 * np.pi * 3 * time)
    sounds = {
        "good": voice,
        "loud": voice * 2.6,  # floats above 1 keep their shape
        "integers": voice * 32_768,
        "clipped": np.clip(voice * 4, -1, 1),
        "clipped_above": np.clip(voice * 4, -2, 0.995),
        "touching": voice / np.abs(voice).max(),
        "shifted": voice + 0.02,
        "second_channel": np.stack([voice, voice - 0.05], axis=1),
        "short": voice[:4000],
        "streamed": voice,
    }
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
    content = bytearray((tmp_path / "streamed.wav").read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = bytes(4)
    (tmp_path / "streamed.wav").write_bytes(content)
    manifest = manifest_of(*(utterance(name) for name in sounds), folder=tmp_path)
    report = audit(manifest, audio_stats(manifest))
    found = report["recordings"]
    assert {key: found[key]["listed"] for key in ODD} == {
        "silent": [],
        "over_full_scale": ["loud", "clipped_above"],
        "clipped": ["clipped", "clipped_above"],
        "offset": ["clipped_above", "shifted", "second_channel"],
        "short": ["short"],
        "no_length": ["streamed"],
    }
    ((name, message),) = found["bad"]["listed"]
    assert name == "integers"
    assert "integers written as floats" in message
    assert found["duplicates"]["listed"] == [["good", "streamed"]]
    shown = {what: count for what, count, _ in findings(report)}
    assert (shown["clipped recordings"], shown["recordings shorter than 0.3 s"]) == (2, 1)


def test_what_extraction_refuses_is_what_the_audit_lists(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 160_000)
    soundfile.write(tmp_path / "cut.ogg", noise, 16_000)
    soundfile.write(tmp_path / "cut.wav", noise, 16_000)
    for path in list(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[:-1000])
    names = ("cut.ogg", "cut.wav")
    manifest = manifest_of(*(Utterance(name, name) for name in names), folder=tmp_path)
    bad = dict(audit(manifest, audio_stats(manifest))["recordings"]["bad"]["listed"])
    assert set(bad) == set(names)
    assert all("truncated" in message for message in bad.values())


def test_parts_of_one_recording_are_no_duplicates(heard: Manifest) -> None:
    parts = [Utterance(f"p{i}", "a.wav", start=start, duration=0.25) for i, start in enumerate((0.0, 0.5, 0.5))]
    found = audit(heard.with_utterances(parts), audio_stats(heard.with_utterances(parts)))["recordings"]
    assert found["duplicates"]["listed"] == [["p1", "p2"]]


def test_shared_speakers_and_missing_words_are_found() -> None:
    report = audit(
        manifest_of(
            utterance("a", speaker="1", text="yes", text_source="corpus"),
            utterance("b", "test1", speaker="1"),
            utterance("c", "test1", speaker="2"),
            utterance("d", "test2"),
            utterance("e", text="no", text_source="whisper"),
        )
    )
    assert report["shared_speakers"] == [{"splits": ["test1", "train"], "count": 1, "listed": ["1"]}]
    assert report["transcripts"]["sources"] == {"corpus": 1, "whisper": 1}
    assert report["transcripts"]["missing"] == {"count": 3, "listed": ["b", "c", "d"]}
    assert report["recordings"] is None


def test_tables_by_split_count_classes_and_seconds() -> None:
    report = audit(
        manifest_of(
            utterance(
                "a", emotion="Fear", votes={"Fear": 3.0, "Other": 1.0}, duration=2.0, attributes={"arousal": 5.0}
            ),
            utterance("b", emotion="Other", votes={"Other": 2.0}, duration=4.0),
            utterance("c", "test1", duration=9.0),
        )
    )
    train = report["splits"]["train"]
    assert (train["utterances"], train["hours"]) == (2, pytest.approx(6 / 3600, abs=1e-6))
    assert {name: count for name, count in train["classes"].items() if count} == {"Fear": 1, "Other": 1}
    assert train["vote_shares"]["Other"] == 0.5
    assert train["seconds"]["median"] == 3.0
    assert train["attributes"]["arousal"] == {"count": 1, "mean": 5.0, "std": 0.0}
    assert report["splits"]["test1"]["classes"]["no label"] == 1
    assert report["agreement"]["votes_each"] == 3.0


def test_the_report_is_json_and_the_page_whole_html(heard: Manifest) -> None:
    report = audit(heard, audio_stats(heard))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    page = audit_page({**report, "note": "<script>"})
    assert "<script>" not in page
    assert "http" not in page
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(page)
    assert opened == []
    for what, count, _ in findings(report):
        assert (f"{count:,} {what}" if count else f"no {what}") in page
