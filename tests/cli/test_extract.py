from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.features.card import read_card
from sertk.features.store import FeatureStore

CUT = "a text that is cut"


@pytest.fixture
def texts(tiny_store: Path, tmp_path: Path) -> Path:
    """A folder with a manifest whose audio does not exist, and an encoder file of a text encoder."""
    Manifest.read(tiny_store / "manifest.jsonl.gz").write(tmp_path / "corpus.jsonl")
    (tmp_path / "words.toml").write_text('[encoder]\nuse = "hashed_text"\ndim = 8\n')
    return tmp_path


def test_features_of_words_that_changed_are_extracted_again(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["extract", str(texts / "words.toml"), "--into", str(texts / "features"), "--manifest"]
    assert main([*command, str(texts / "corpus.jsonl")]) == 0
    corpus = Manifest.read(texts / "corpus.jsonl")
    same = corpus.with_utterances(replace(u, text_source="whisper:tiny") for u in corpus)
    same.write(texts / "same.jsonl")
    capsys.readouterr()
    assert main([*command, str(texts / "same.jsonl")]) == 0  # whose words they are makes no difference
    assert "up to date" in capsys.readouterr().out
    heard = corpus.with_utterances(replace(u, text="other words") if n < 12 else u for n, u in enumerate(corpus))
    heard.write(texts / "heard.jsonl")
    assert main([*command, str(texts / "heard.jsonl")]) == 0
    assert f"written 0  changed 12  kept {len(corpus) - 12}" in capsys.readouterr().out
    assert main([*command[:3], str(texts / "fresh"), "--manifest", str(texts / "heard.jsonl")]) == 0
    again, fresh = (FeatureStore.open(texts / name / "words") for name in ("features", "fresh"))
    assert again.fingerprint == fresh.fingerprint
    assert all(torch.equal(again[id], fresh[id]) for id in fresh)
    assert main([*command, str(texts / "heard.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("up to date")


def test_posteriors_of_a_model_that_was_trained_again_are_made_again(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", str(tiny_store / "experiment.toml"), "--out", str(tmp_path / "model"), "--device", "cpu"]
    short = ["--set", "stage.full.epochs=1", "--set", "stage.second.epochs=1"]
    manifest = str(tiny_store / "manifest.jsonl.gz")
    posteriors = ["extract", str(tmp_path / "model"), "--manifest", manifest, "--into", str(tmp_path / "posteriors")]
    assert main([*train, *short]) == 0
    assert main(posteriors) == 0
    first = read_card(tmp_path / "posteriors" / "model").fingerprint
    assert main([*train, *short, "--set", "seed=2"]) == 0
    capsys.readouterr()
    assert main(posteriors) == 0
    assert "model  fingerprint was " in capsys.readouterr().out
    assert read_card(tmp_path / "posteriors" / "model").fingerprint != first


def test_what_was_done_to_a_transcript_is_listed_beside_the_features(texts: Path) -> None:
    from sertk.data.recording import Recording
    from sertk.encoders.hashed_text import hashed_text
    from sertk.features.extract import Target, extract, store_card

    class Remarking(type(hashed_text())):  # type: ignore[misc]
        def prepare(self, recording: Recording) -> torch.Tensor:
            if recording.utterance.text == CUT:
                recording.remark("cut")
            return super().prepare(recording)  # type: ignore[no-any-return]

    encoder = hashed_text(dim=8)
    encoder.__class__ = Remarking
    target = Target(texts / "store", store_card("hashed_text", {"dim": 8}, encoder), encoder)
    recordings = [Recording(replace(u, text=CUT)) for u in Manifest.read(texts / "corpus.jsonl")][:3]
    extract([target], recordings, device=torch.device("cpu"))
    lines = (texts / "store" / "remarks.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": r.id, "message": "cut"} for r in recordings]
    recordings[1] = Recording(replace(recordings[1].utterance, text="short"))
    extract([target], recordings, device=torch.device("cpu"))
    lines = (texts / "store" / "remarks.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [recordings[0].id, recordings[2].id]


@pytest.mark.parametrize("shard", ["3", "2/2", "a/b", "-1/2"])
def test_a_shard_that_is_none_is_misuse(texts: Path, shard: str) -> None:
    words = ["extract", str(texts / "words.toml"), "--manifest", str(texts / "corpus.jsonl"), "--into", str(texts)]
    assert main([*words, f"--shard={shard}"]) == 2


@pytest.mark.parametrize(("option", "precision"), [("", "bfloat16"), ('dtype = "bfloat16"\n', "float32")])
def test_the_card_says_how_far_from_float32_features_of_less_precision_are(
    texts: Path, option: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    from sertk.testing.tiny_models import tiny_roberta

    encoder = f'[encoder]\nuse = "hf_text"\nmodel = "{tiny_roberta(texts / "roberta")}"\n'
    (texts / "plain.toml").write_text(f'dtype = "float32"\n{encoder}')
    (texts / "fast.toml").write_text(f'dtype = "float32"\n{encoder}{option}')
    command = ["--into", str(texts), "--manifest", str(texts / "corpus.jsonl"), "--device", "cpu"]
    assert main(["extract", str(texts / "plain.toml"), *command]) == 0
    assert read_card(texts / "plain").error is None
    for _ in range(2):  # the second time it is up to date, and the card stays
        assert main(["extract", str(texts / "fast.toml"), *command, "--precision", precision]) == 0
        card = read_card(texts / "fast")
    first = next(iter(Manifest.read(texts / "corpus.jsonl"))).id
    mine, wanted = (FeatureStore.open(texts / name)[first] for name in ("fast", "plain"))
    found = float((mine - wanted).norm() / wanted.norm())
    assert card.error is not None
    assert 0 < found <= card.error * 1.001 < 2e-2
    assert f"within {card.error:.1e} of float32" in capsys.readouterr().out


@pytest.mark.parametrize("audio", ["/gone/{}.wav", r"C:\\corpora\\{}.wav"])
def test_a_corpus_that_was_moved_away_is_an_error_that_names_a_path(
    texts: Path, audio: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = Manifest.read(texts / "corpus.jsonl")
    corpus.with_utterances(replace(u, audio=audio.format(u.id), duration=None) for u in corpus).write(
        texts / "moved.jsonl"
    )
    (texts / "logmel.toml").write_text('[encoder]\nuse = "logmel"\n')
    command = ["extract", str(texts / "logmel.toml"), "--manifest", str(texts / "moved.jsonl")]
    first = corpus.utterances[0].id
    for jobs in (["--device", "cpu"], ["--jobs", "2", "--device", "cpu"]):
        assert main([*command, "--into", str(texts / "features"), *jobs]) == 1
        shown = capsys.readouterr()
        count = 90 if len(jobs) == 2 else 45
        assert f"none of {count} recordings could be used. The first: {first}: " in shown.err
        assert f"{audio.format(first)}: there is no such recording" in shown.err
        assert ("a path of Windows" in shown.err) == audio.startswith("C:")
        assert "unexpected" not in shown.err
    out = ["--out", str(texts / "fixed.jsonl")]
    assert main(["data", "fix", str(texts / "moved.jsonl"), *out]) == 1
    assert f"none of 90 utterances can be used. The first: {first}: there is no recording" in capsys.readouterr().err
    assert not (texts / "fixed.jsonl").exists()
