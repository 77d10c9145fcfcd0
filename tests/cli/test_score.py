from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.predictions import Predictions

LABELS = LabelSet(("Angry", "Sad", "Happy"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest of 120 test and 60 held-out utterances of twelve speakers, and two systems' predictions."""
    generator = np.random.default_rng(0)
    utterances = []
    for row in range(180):
        votes = generator.multinomial(5, generator.dirichlet(np.full(3, 0.5)))
        utterances.append(
            Utterance(
                id=f"u{row}",
                audio=f"u{row}.wav",
                duration=float(generator.uniform(1, 5)),
                speaker=f"s{row % 12}",
                gender=("Female", "Male")[row % 2],
                split="test" if row < 120 else "held_out",
                votes=dict(zip(LABELS.names, map(float, votes), strict=True)),
                emotion=LABELS.names[int(votes.argmax())] if (votes == votes.max()).sum() == 1 else None,
                attributes={"arousal": float(votes[0] + 1), "valence": float(votes[2] + 1)},
            )
        )
    manifest = Manifest("made-up", LABELS, {"arousal": (1, 7), "valence": (1, 7)}, tuple(utterances))
    manifest.write(tmp_path / "manifest.jsonl")
    for name, skill, split in (("good", 0.8, "test"), ("poor", 0.1, "test"), ("good_held_out", 0.8, "held_out")):
        chosen = manifest.split(split)
        votes = np.array([[u.votes[label] for label in LABELS.names] for u in chosen]) / 5
        emotion = skill * votes + (1 - skill) * generator.dirichlet(np.ones(3), len(chosen))
        attributes = generator.uniform(1, 7, (len(chosen), 2))
        order = [2, 0, 1]  # another order of classes than the manifest's
        turned = LabelSet(tuple(LABELS.names[i] for i in order))
        ids = tuple(u.id for u in chosen)
        Predictions(ids, turned, emotion[:, order], attributes, ("arousal", "valence")).write(
            tmp_path / f"{name}.csv"
        )
    return tmp_path


def run(folder: Path, *words: str) -> int:
    files = [str(folder / word) if word.endswith((".csv", ".json")) else word for word in words]
    return main(["score", *files, "--manifest", str(folder / "manifest.jsonl"), "--split", "test", "--draws", "100"])


def test_one_system_is_shown_with_intervals_and_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "--groups") == 0
    shown = capsys.readouterr().out
    assert "macro-F1" in shown
    assert "mean CCC" in shown
    assert "Angry" in shown
    assert "Female" in shown
    assert shown.count("[") > 5


def test_many_systems_are_a_row_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "poor.csv") == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(("good", "poor"))]
    assert rows == ["good", "poor"]


def test_json_holds_scores_comparison_and_balanced_draws(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "--compare", "poor.csv", "--json") == 0
    good = json.loads(capsys.readouterr().out)["systems"]["good"]
    assert (
        good["metrics"]["macro_f1"]["low"]
        < good["metrics"]["macro_f1"]["value"]
        < good["metrics"]["macro_f1"]["high"]
    )
    assert good["less"]["metrics"]["macro_f1"]["low"] > 0
    assert good["less"]["metrics"]["macro_f1"]["p_value"] < 0.05
    assert 0 < good["balanced_draws"]["mean"] <= 1


def test_a_comparison_is_shown_with_its_p_value(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "--compare", "poor.csv") == 0
    shown = capsys.readouterr().out
    assert "paired over speakers, 120 utterances of 12 speakers" in " ".join(shown.split())  # wrapped
    assert "macro_f1" in shown


def test_calibration_is_fitted_on_held_out_utterances_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "--calibrate", "good_held_out.csv", "--json") == 0
    systems = json.loads(capsys.readouterr().out)["systems"]
    assert list(systems) == ["good", "good + temperature", "good + vector"]
    losses = [one["metrics"]["log_loss"]["value"] for one in systems.values()]
    assert losses[1] < losses[0]
    assert run(folder, "good.csv", "--calibrate", "good.csv") == 1
    assert "other utterances than those scored" in capsys.readouterr().err


def test_an_output_that_is_up_to_date_is_not_made_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "--output", "scores.json") == 0
    first = (folder / "scores.json").read_bytes()
    capsys.readouterr()
    assert run(folder, "good.csv", "--output", "scores.json") == 0
    assert capsys.readouterr().out.startswith("up to date")
    assert run(folder, "good.csv", "--output", "scores.json", "--force") == 0
    assert "macro-F1" in capsys.readouterr().out
    assert (folder / "scores.json").read_bytes() == first
    assert run(folder, "good.csv", "--output", "scores.json", "--seed", "2") == 0
    assert (folder / "scores.json").read_bytes() != first


def test_results_say_what_was_measured_and_how(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("good.csv", "poor.csv", "--compare", "poor.csv", "--results", str(folder / "RESULTS.md"))
    assert run(folder, *words) == 0
    page = (folder / "RESULTS.md").read_text(encoding="utf-8")
    assert "# Results: made-up, test" in page
    assert "| good | 0." in page
    assert "Always answering" in page
    assert "sertk score" in page
    capsys.readouterr()
    assert run(folder, *words) == 0
    assert capsys.readouterr().out.startswith("up to date")


def test_the_call_that_results_name_works_in_their_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "out").mkdir()
    words = ["score", "good.csv", "--manifest", "manifest.jsonl", "--split", "test", "--compare", "poor.csv"]
    assert main([*words, "--results", "out/RESULTS.md", "--draws", "20"]) == 0
    page = (folder / "out" / "RESULTS.md").read_text(encoding="utf-8")
    call = next(line for line in page.splitlines() if line.startswith("sertk score"))
    assert "score ../good.csv --manifest ../manifest.jsonl" in call
    monkeypatch.chdir(folder / "out")
    assert main([*call.split()[1:], "--force"]) == 0


def renamed(folder: Path, name: str, to: Callable[[str], str]) -> None:
    """Give the ids of a predictions file as somebody else would."""
    lines = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    rows = [f"{to(line.partition(',')[0])},{line.partition(',')[2]}" for line in lines[1:]]
    (folder / f"{name}.csv").write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")


def test_predictions_of_a_folder_score_as_those_of_the_manifest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("good.csv", "--compare", "poor.csv", "--calibrate", "good_held_out.csv", "--json")
    assert run(folder, *words) == 0
    wanted = json.loads(capsys.readouterr().out)["systems"]["good"]
    for name in ("good", "poor", "good_held_out"):
        renamed(folder, name, lambda id: f"some/where/{id}.wav")
    assert run(folder, *words) == 0
    found = json.loads(capsys.readouterr().out)["systems"]
    assert found["good"]["metrics"] == wanted["metrics"]
    assert found["good"]["less"]["metrics"] == wanted["less"]["metrics"]
    assert list(found) == ["good", "good + temperature", "good + vector"]
    assert "some/where/u0.wav is u0" in found["good"]["remarks"][0]


def test_paths_that_end_alike_are_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed(folder, "good", lambda id: f"a/{id}.wav" if id != "u1" else "b/u0.wav")
    assert run(folder, "good.csv") == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "good.csv: the predicted ids 'a/u0.wav' and 'b/u0.wav' both end with the id 'u0'" in error


def with_speakers(folder: Path, speakers: tuple[str | None, ...]) -> None:
    """Give the manifest's utterances these speakers in turn."""
    manifest = Manifest.read(folder / "manifest.jsonl")
    changed = [replace(one, speaker=speakers[row % len(speakers)]) for row, one in enumerate(manifest)]
    manifest.with_utterances(changed).write(folder / "manifest.jsonl")


def test_two_speakers_give_no_interval_and_the_terminal_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_speakers(folder, ("a", "b"))
    assert run(folder, "good.csv", "--compare", "poor.csv", "--groups") == 0
    shown = capsys.readouterr().out
    assert "test, without intervals" in shown
    assert "good: no intervals: 2 speakers, effectively 2 (an interval needs 5 effective speakers)" in shown
    assert "[" not in shown
    assert run(folder, "good.csv", "--json") == 0
    good = json.loads(capsys.readouterr().out)["systems"]["good"]
    assert good["metrics"]["macro_f1"]["low"] is None
    assert good["remarks"] == ["no intervals: 2 speakers, effectively 2 (an interval needs 5 effective speakers)"]


def test_where_no_speaker_is_known_headings_name_utterances(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_speakers(folder, (None,))
    results = str(folder / "RESULTS.md")
    assert run(folder, "good.csv", "--compare", "poor.csv", "--groups", "--results", results) == 0
    shown = capsys.readouterr().out
    assert "with 95 % intervals over utterances" in shown
    assert "paired over utterances, 120 utterances of unknown speakers" in " ".join(shown.split())  # wrapped
    assert "good: no speaker is known, so utterances are resampled one by one" in shown
    page = (folder / "RESULTS.md").read_text(encoding="utf-8")
    assert "## Differences from poor, paired over utterances" in page
    for text in (shown, page):
        assert "over speakers" not in text
        assert "0 speakers" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.csv",), "there is no file"),
        (("good_held_out.csv",), "no utterance to score has a prediction"),
        (("bad.csv",), "line 2"),
    ],
)
def test_bad_input_is_one_line_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    (folder / "bad.csv").write_text("id,Angry,Sad,Happy\nu1,1,1,1\n")
    assert run(folder, *words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert words[0] in error
    assert "Traceback" not in error


def test_an_unknown_split_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", str(folder / "good.csv"), "--manifest", str(folder / "manifest.jsonl"), "--split", "tset"]
    assert main(words) == 1
    assert "Did you mean 'test'" in capsys.readouterr().err


def test_calibrating_two_systems_at_once_is_misuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "good.csv", "poor.csv", "--calibrate", "good_held_out.csv") == 2
    assert "--calibrate takes one system" in capsys.readouterr().err
