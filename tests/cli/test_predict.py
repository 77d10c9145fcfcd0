"""`sertk predict` over a folder as people have them: some files cannot be used, the rest is predicted."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import catalogue
import numpy as np
import pytest
import soundfile

from sertk import registry
from sertk.cli import main
from sertk.inference.provenance import provenance
from sertk.provenance import read_record
from sertk.ready import best_ready, split_models

pytestmark = pytest.mark.plugins  # which write and read the corpus

Capture = pytest.CaptureFixture[str]
MODEL = """
[data]
manifest = "MANIFEST"
[features]
FEATURES
[fusion]
use = "concat"
[[stage]]
name = "full"
epochs = 1
optimizer = { lr = 1e-3 }
"""


@pytest.fixture(scope="module")
def models(toy_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `both`, which reads speech and text, and `speech`, which reads no words."""
    folder = tmp_path_factory.mktemp("models")
    corpus, manifest = folder / "corpus.jsonl", folder / "m.jsonl"
    assert main(["data", "prepare", "msp_podcast", str(toy_corpus), "--allow-partial", "--out", str(corpus)]) == 0
    assert main(["data", "split", str(corpus), "--share", "0.3", "--out", str(manifest)]) == 0
    (folder / "logmel.toml").write_text('[encoder]\nuse = "logmel"\nmels = 12\nstack = 10\n')
    (folder / "words.toml").write_text('[encoder]\nuse = "hashed_text"\ndim = 8\n')
    into = ["--manifest", str(manifest), "--into", str(folder / "features"), "--device", "cpu"]
    assert main(["extract", str(folder / "logmel.toml"), str(folder / "words.toml"), *into]) == 0
    for name, stores in (("both", ("logmel", "words")), ("speech", ("logmel",))):
        features = "\n".join(f'{store} = "{folder}/features/{store}"' for store in stores)
        text = MODEL.replace("MANIFEST", str(manifest)).replace("FEATURES", features)
        (folder / f"{name}.toml").write_text(text)
        assert main(["train", str(folder / f"{name}.toml"), "--out", str(folder / name), "--device", "cpu"]) == 0
    return folder


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """A folder with good recordings a.wav, b.aiff and c.oga, and their words."""
    folder = tmp_path / "voices"
    folder.mkdir()
    for number, (name, form) in enumerate((("a.wav", "WAV"), ("b.aiff", "AIFF"), ("c.oga", "OGG"))):
        voice = np.random.default_rng(number).normal(0, 0.1, 16_000 + 1000 * number)
        soundfile.write(folder / name, voice, 16_000, format=form)
        (folder / name).with_suffix(".txt").write_text("some words")
    return folder


def ids(path: Path) -> list[str]:
    with open(path, encoding="utf-8", newline="") as file:
        return [Path(row["id"]).name for row in csv.DictReader(file)]


def spoil(folder: Path) -> dict[str, str]:
    """Put files beside the good ones that cannot be used; give what is said of each, by its name as it is shown."""
    voice = (folder / "a.wav").read_bytes()
    latin = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.wav"))
    for path in (latin, folder / "x\x1b[2J.wav", folder / "words.wav"):
        path.write_bytes(voice)
    (folder / "words.txt").write_bytes(b"caf\xe9")
    soundfile.write(folder / "loud.wav", np.sin(np.arange(16_000) / 9) * 20_000, 16_000, subtype="FLOAT")
    for name in ("talk.m4a", "film.webm"):
        (folder / name).write_bytes(bytes(1000))
    return {
        r"caf\xe9.wav": "is not UTF-8: rename the file",
        r"x\x1b[2J.wav": r"has a line break or control character (\x1b): rename the file",
        "words.wav": "words.txt: the words are not UTF-8 (byte 3): save the file as UTF-8",
        "loud.wav": "integers written as floats",
        "talk.m4a": "m4a is not supported; convert it: ffmpeg -i talk.m4a talk.wav",
        "film.webm": "webm is not supported; convert it: ffmpeg -i film.webm film.wav",
    }


def test_what_cannot_be_used_is_listed_and_the_rest_is_predicted(
    models: Path, voices: Path, tmp_path: Path, capfd: Capture
) -> None:
    wanted, out = spoil(voices), tmp_path / "out.csv"
    assert main(["predict", str(models / "both"), str(voices), "--output", str(out), "--device", "cpu"]) == 0
    assert ids(out) == ["a.wav", "b.aiff", "c.oga"]
    lines = [line.split("\t") for line in (tmp_path / "out.csv.left_out.tsv").read_text("utf-8").splitlines()]
    assert {Path(place).name for place, _ in lines} == set(wanted)
    for place, message in lines:
        assert wanted[Path(place).name] in message
    shown = capfd.readouterr()
    assert f"{out}  3 predictions  left out 6" in shown.out
    for name, message in wanted.items():
        (line,) = (line for line in shown.err.splitlines() if line.startswith(f"warning left out {voices}/{name}: "))
        assert message in line
    assert "\x1b" not in shown.out + shown.err


def test_words_that_cannot_be_read_do_not_matter_to_a_model_that_reads_none(
    models: Path, voices: Path, tmp_path: Path
) -> None:
    (voices / "a.txt").write_bytes(b"caf\xe9")
    out = tmp_path / "out.csv"
    assert main(["predict", str(models / "speech"), str(voices), "--output", str(out), "--device", "cpu"]) == 0
    assert ids(out) == ["a.wav", "b.aiff", "c.oga"]
    assert not (tmp_path / "out.csv.left_out.tsv").exists()


def test_a_list_of_what_was_left_out_goes_when_nothing_is(models: Path, voices: Path, tmp_path: Path) -> None:
    words = ["predict", str(models / "both"), str(voices), "--output", str(tmp_path / "out.csv"), "--device", "cpu"]
    (voices / "d.wav").write_bytes(b"no audio")
    assert main(words) == 0
    assert (tmp_path / "out.csv.left_out.tsv").exists()
    (voices / "d.wav").unlink()
    assert main(words) == 0
    assert not (tmp_path / "out.csv.left_out.tsv").exists()


def test_what_was_done_to_read_a_recording_is_said_once(models: Path, voices: Path, capfd: Capture) -> None:
    content = bytearray((voices / "a.wav").read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = (0x8000_0000).to_bytes(4, "little")
    for name in ("s.wav", "t.wav"):
        (voices / name).write_bytes(content)
    assert main(["predict", str(models / "speech"), str(voices), "--device", "cpu"]) == 0
    shown = capfd.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("warning ")
    assert "s.wav" in line
    assert "t.wav: the header has a placeholder for the length" in line
    rows = {line.split()[0][-5:]: line.split()[1:] for line in shown.out.splitlines() if ".wav" in line}
    assert rows["a.wav"] == rows["s.wav"]


def test_a_single_file_of_another_format_is_an_error_with_how_to_convert_it(
    models: Path, tmp_path: Path, capfd: Capture
) -> None:
    (tmp_path / "talk.m4a").write_bytes(bytes(1000))
    for given in (tmp_path / "talk.m4a", tmp_path):
        assert main(["predict", str(models / "speech"), str(given), "--device", "cpu"]) == 1
        assert "convert it: ffmpeg -i talk.m4a talk.wav" in capfd.readouterr().err


def test_recordings_are_predicted_again_when_their_content_or_words_change(
    models: Path, voices: Path, tmp_path: Path, capfd: Capture
) -> None:
    def predict(model: str, *more: str) -> str:
        words = [str(models / model), str(voices), "--output", str(tmp_path / f"{model}.csv"), "--device", "cpu"]
        assert main(["predict", *words, *more]) == 0
        return capfd.readouterr().out

    for model in ("both", "speech"):
        assert "3 predictions" in predict(model)
        os.utime(voices / "a.wav", (1, 1))
        assert predict(model) == f"up to date  {tmp_path}/{model}.csv\n"
        assert "3 predictions" in predict(model, "--force")
    (voices / "a.txt").write_text("other words")
    assert "3 predictions" in predict("both")
    assert "up to date" in predict("speech")  # which reads none
    soundfile.write(voices / "b.aiff", np.zeros(16_000) + 0.1, 16_000, format="AIFF")
    for model in ("both", "speech"):
        assert "3 predictions" in predict(model)
    soundfile.write(voices / "d.wav", np.zeros(16_000) + 0.1, 16_000)
    assert "4 predictions" in predict("speech")
    (voices / "talk.m4a").write_bytes(bytes(1000))
    assert "left out 1" in predict("speech")
    assert "up to date" in predict("speech")
    record = read_record(tmp_path / "speech.csv")
    assert record is not None
    assert provenance(**{**record.made.call, "audio": [str(voices)]}).key == record.made.key


def test_a_recording_is_not_predicted_onto_a_file_of_others(
    models: Path, voices: Path, tmp_path: Path, capfd: Capture
) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    words = ["predict", str(models / "speech"), str(voices), "--output", str(tmp_path / "mine.csv"), "--force"]
    assert main(words) == 1
    assert "not an earlier result of `sertk predict`" in capfd.readouterr().err
    assert (tmp_path / "mine.csv").read_text() == "mine"


@pytest.fixture
def mine(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model that is registered in this process, calibrated and never sure; no package brings another."""
    folder = models / "vote"
    (models / "vote.toml").write_text(
        f'fit = "held_out"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "{models}/m.jsonl"\n'
        '[guidance]\nlimits = "Made-up voices alone."\nunsure_below = 0.99\n'
    )
    assert main(["combine", str(models / "vote.toml"), str(models / "speech"), "--out", str(folder)]) == 0
    monkeypatch.setenv("SERTK_PLUGINS", "none")
    registry.models.register("mine", func=lambda: folder)
    yield folder
    del catalogue.REGISTRY[("sertk", "models", "mine")]


def test_a_model_goes_by_its_name_or_by_none(mine: Path, voices: Path, capsys: Capture) -> None:
    assert main(["predict", str(mine), str(voices / "a.wav")]) == 0
    table = capsys.readouterr().out
    assert main(["predict", "mine", str(voices / "a.wav")]) == 0
    assert capsys.readouterr().out == table
    assert main(["predict", str(voices / "a.wav")]) == 0
    shown = capsys.readouterr()
    assert "Made-up voices alone." in shown.out + shown.err
    assert table in shown.out
    assert main(["models"]) == 0
    assert "Made-up voices alone." in " ".join(capsys.readouterr().out.split())


def test_an_answer_below_the_stated_confidence_is_unsure(mine: Path, voices: Path, capsys: Capture) -> None:
    assert main(["predict", "mine", str(voices / "a.wav")]) == 0
    assert "unsure (" in capsys.readouterr().out


def test_a_file_is_never_taken_for_a_model_by_its_name(
    mine: Path, voices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(voices)
    (voices / "a.wav").rename("mine")
    assert split_models(["mine"]) == ([], [Path("mine")])
    assert split_models([mine, "b.aiff"]) == ([mine], [Path("b.aiff")])


def test_a_better_model_is_taken_once_its_encoder_needs_no_download(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    better = Path(shutil.copytree(mine, tmp_path / "better"))
    card = json.loads((better / "card.json").read_text())
    card["scores"] = {"test": {"metrics": {"uar": {"value": 0.9}}}}
    (better / "card.json").write_text(json.dumps(card))
    (member,) = (better / "members").iterdir()
    inside = json.loads((member / "card.json").read_text())
    next(iter(inside["encoders"].values()))["options"]["model"] = "nobody/such-model"
    (member / "card.json").write_text(json.dumps(inside))
    registry.models.register("better", func=lambda: better)
    try:
        assert best_ready()[0] == mine
        assert main(["models"]) == 0
        assert "nobody/such-model" in capsys.readouterr().out
        encoder = tmp_path / "models/nobody/such-model"
        encoder.mkdir(parents=True)
        (encoder / "config.json").write_text('{"model_type": "whisper"}')
        (encoder / "model.safetensors").touch()
        monkeypatch.setenv("SERTK_MODELS", str(tmp_path / "models"))
        assert best_ready()[0] == better
        assert main(["models"]) == 0
        assert "nobody/such-model" not in capsys.readouterr().out
    finally:
        del catalogue.REGISTRY[("sertk", "models", "better")]


def test_without_any_model_one_is_named_that_can_be_installed(
    voices: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SERTK_PLUGINS", "none")
    assert main(["predict", str(voices / "a.wav")]) == 2
    assert "pip install sertk-ready" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "pip install sertk-ready" in capsys.readouterr().out
