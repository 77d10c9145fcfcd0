from __future__ import annotations

from pathlib import Path

import pytest

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    utterances = (Utterance("a", "a.wav", split="train", text="so what"), Utterance("b", "b.wav", split="test"))
    Manifest("made up", LabelSet(("Happy", "Sad")), {}, utterances).write(tmp_path / "m.jsonl")
    return tmp_path / "m.jsonl"


def test_the_corpus_words_are_marked_and_what_lacks_them_is_named(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "words.jsonl"
    assert main(["transcribe", str(manifest), "--use", "corpus", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "words from corpus: written 1  changed 0  kept 0  failed 1" in said
    assert "b: corpus has no words for it" in said
    assert [u.text_source for u in Manifest.read(out)] == ["corpus", None]
    assert main(["transcribe", str(manifest), "--use", "corpus", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"


def test_an_unknown_option_is_an_error_with_the_known_ones(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["transcribe", str(manifest), "--use", "corpus", "--model", "x", "--out", str(tmp_path / "o.jsonl")]
    assert main(words) == 1
    assert "'corpus' has no option 'model'" in capsys.readouterr().err
