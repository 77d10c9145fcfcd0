"""Standardising by speaker: the same answers from a manifest, from files and from Python, whatever is asked together."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sertk import registry
from sertk.api.combine import combine
from sertk.api.extract import extract as extract_into
from sertk.api.predict import predict, predict_corpus
from sertk.api.score import score
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.config.build import build
from sertk.config.files import load_experiment
from sertk.config.schema import Use
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import CheckpointError, ConfigError, SpeakerWarning
from sertk.experiment import provenance, run
from sertk.features.extract import Target, extract, store_card
from sertk.features.store import FeatureStore
from sertk.inference.model import load
from sertk.scoring.provenance import system_names

CPU = torch.device("cpu")
LABELS = LabelSet(("Calm", "Loud"))
SPLITS = {"a": "train", "b": "train", "c": "train", "d": "held_out", "e": "test", "f": "test"}
EXPERIMENT = """
features = {{ speech = "{0}/features/logmel" }}
standardise = ["speech"]
{1}
fusion = {{ use = "concat" }}
[data]
manifest = "{0}/manifest.jsonl.gz"
[head]
activation = "none"
[selection]
metric = "uar"
[[stage]]
name = "linear"
solver = {{ penalty = 0.1 }}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six speakers, each on a level of their own, eight clips each; a speaker f of a single clip. Two members."""
    folder = tmp_path_factory.mktemp("by_speaker")
    rng = np.random.default_rng(3)
    utterances = []
    for number, (speaker, split) in enumerate(SPLITS.items()):
        for clip in range(1 if speaker == "f" else 8):
            loud = clip % 2
            level = 0.001 * 3**number * (2.5 if loud else 1.0)
            id = f"{speaker}{clip}"
            wave = level * rng.standard_normal(8000) * (1 + 0.1 * rng.random())
            soundfile.write(folder / f"{id}.wav", wave.clip(-1, 1), 16_000)
            votes = {LABELS.names[loud]: 1.0} if clip < 6 else {}  # the last two of each speaker have no label
            emotion = LABELS.names[loud] if votes else None
            utterances.append(
                Utterance(
                    id,
                    str(folder / f"{id}.wav"),
                    duration=0.5,
                    speaker=speaker,
                    split=split,
                    votes=votes,
                    emotion=emotion,
                )
            )
    manifest = Manifest("levels", LABELS, {}, tuple(utterances))
    manifest.write(folder / "manifest.jsonl.gz")
    options = {"mels": 12, "stack": 10}
    encoder = build(registry.encoders, Use.model_validate({"use": "logmel", **options}))
    target = Target(folder / "features" / "logmel", store_card("logmel", options, encoder), encoder)
    extract([target], [Recording(u) for u in manifest.located()], device=CPU)
    for name, line in {"relative": 'standardise_by = "speaker"', "absolute": ""}.items():
        (folder / f"{name}.toml").write_text(EXPERIMENT.format(folder, line))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(load_experiment(folder / f"{name}.toml"), folder / "members" / name, device=CPU)
    return folder


def of(corpus: Path, speaker: str) -> list[str]:
    return [str(path) for path in sorted(corpus.glob(f"{speaker}*.wav"))]


def from_manifest(corpus: Path, model: str | Path = "members/relative") -> Predictions:
    found = predict_corpus(corpus / model, corpus / "manifest.jsonl.gz", "test")[0].predictions
    assert found is not None
    return found


def test_a_speaker_is_compared_with_all_own_recordings_labelled_or_not(corpus: Path) -> None:
    """By hand: standardised by the speaker's frames, then the head's linear map of the mean."""
    store, model = FeatureStore.open(corpus / "features" / "logmel"), Checkpoint.load(corpus / "members" / "relative")
    frames = {clip: store[f"e{clip}"].double() for clip in range(8)}
    every = torch.cat([*frames.values()])
    mean, std = every.mean(0), every.std(0, correction=0)
    weight, bias = (model.weights[f"head.emotion.{name}"].double() for name in ("weight", "bias"))
    said = from_manifest(corpus)
    for clip in range(8):
        pooled = ((frames[clip] - mean) / std).clamp(-10, 10).mean(0)
        expected = (weight @ pooled + bias).softmax(0)
        np.testing.assert_allclose(said.emotion[said.ids.index(f"e{clip}")], expected, atol=1e-4)


def test_the_manifest_the_files_of_a_speaker_and_python_agree(corpus: Path, tmp_path: Path) -> None:
    stored = from_manifest(corpus)
    expected = {Path(f"{id}.wav").name: row for id, row in zip(stored.ids, stored.emotion, strict=True)}
    main(
        ["predict", f"{corpus}/members/relative", *of(corpus, "e"), "--same-speaker", "--output", f"{tmp_path}/e.csv"]
    )
    by_command = Predictions.read(tmp_path / "e.csv")
    in_python = load(corpus / "members" / "relative").predict(of(corpus, "e"), same_speaker=True)
    for said in (by_command, in_python):
        assert len(said.ids) == 8
        for id, row in zip(said.ids, said.emotion, strict=True):
            np.testing.assert_allclose(row, expected[Path(id).name], atol=1e-5)


def test_an_answer_does_not_depend_on_what_else_is_asked(corpus: Path) -> None:
    model = Checkpoint.load(corpus / "members" / "relative")
    ids = [f"e{clip}" for clip in range(8)]
    whole = infer_rows(model, ids, CPU)
    for id in ids:
        np.testing.assert_allclose(infer_rows(model, [id], CPU)[id], whole[id], atol=1e-5)


def test_a_lone_recording_takes_the_training_statistics_and_says_so(corpus: Path) -> None:
    model, absolute = load(corpus / "members" / "relative"), Checkpoint.load(corpus / "members" / "relative")
    with pytest.warns(SpeakerWarning, match="standardises by speaker or corpus; without 2 or more recordings"):
        lone = model.predict(of(corpus, "e")[0])
    with pytest.warns(SpeakerWarning):
        strangers = model.predict(of(corpus, "e"))
    assert lone.probabilities["Calm"] == pytest.approx(strangers.emotion[0][0], abs=1e-5)
    stored = from_manifest(corpus)  # f has one clip in the manifest
    with pytest.warns(SpeakerWarning):
        alone = model.predict(of(corpus, "f"), same_speaker=True)
    np.testing.assert_allclose(stored.emotion[stored.ids.index("f0")], alone.emotion[0], atol=1e-5)
    assert absolute.experiment.standardise_by == "speaker"


def test_a_model_that_does_not_standardise_by_speaker_says_nothing(corpus: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = load(corpus / "members" / "absolute").predict(of(corpus, "e"), same_speaker=True)
        untold = load(corpus / "members" / "absolute").predict(of(corpus, "e"))
    np.testing.assert_array_equal(told.emotion, untold.emotion)


def test_an_ensemble_of_both_reads_one_store_in_two_ways(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "vote.toml").write_text(
        f'fit = "held_out"\naggregator = {{ use = "soft_vote" }}\n[data]\nmanifest = "{corpus}/manifest.jsonl.gz"\n'
    )
    combine(tmp_path / "vote.toml", [corpus / "members" / n for n in ("relative", "absolute")], out=tmp_path / "vote")
    voted = from_manifest(corpus, tmp_path / "vote")
    alone = [from_manifest(corpus, f"members/{name}") for name in ("relative", "absolute")]
    np.testing.assert_allclose(voted.emotion, (alone[0].emotion + alone[1].emotion) / 2, atol=1e-5)
    files = load(tmp_path / "vote").predict(of(corpus, "e"), same_speaker=True)
    np.testing.assert_allclose(files.emotion, voted.emotion[:8], atol=1e-5)


def test_another_recording_of_a_speaker_makes_predictions_stale(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "test.csv"
    predict_corpus(corpus / "members" / "relative", corpus / "manifest.jsonl.gz", "test", output=output)
    again = predict_corpus(corpus / "members" / "relative", corpus / "manifest.jsonl.gz", "test", output=output)
    assert again[0].up_to_date
    before = provenance(config=str(corpus / "relative.toml"))
    manifest = Manifest.read(corpus / "manifest.jsonl.gz")
    without = [u for u in manifest if u.id not in ("a7", "e7")]
    manifest.with_utterances(without).write(corpus / "manifest.jsonl.gz")
    try:
        assert provenance(config=str(corpus / "relative.toml")).key != before.key
        assert provenance(config=str(corpus / "absolute.toml")).parts.keys() == before.parts.keys() - {
            "speakers",
            "speakers.speech",
            "experiment.standardise_by",
        }
        changed = predict_corpus(corpus / "members" / "relative", corpus / "manifest.jsonl.gz", "test")[0].predictions
        assert changed is not None
        first = Predictions.read(output)
        assert abs(changed.emotion[0][0] - first.emotion[0][0]) > 1e-4
    finally:
        manifest.write(corpus / "manifest.jsonl.gz")


def test_posteriors_by_speaker_are_not_kept_in_a_store(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="standardises by speaker, so its posteriors hang on"):
        extract_into(corpus / "members/relative", manifest=corpus / "manifest.jsonl.gz", into=tmp_path / "posteriors")


def test_speakers_of_nothing_are_refused(corpus: Path, tmp_path: Path) -> None:
    text = EXPERIMENT.format(corpus, 'standardise_by = "speaker"').replace('standardise = ["speech"]', "")
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match="standardise_by: name the modalities"):
        load_experiment(tmp_path / "x.toml")


def test_the_record_of_predictions_says_whose_statistics_were_used(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "members" / "relative"
    with pytest.warns(SpeakerWarning):
        predict(model, of(corpus, "e"), output=tmp_path / "x.csv")
    assert not predict(model, of(corpus, "e"), same_speaker=True, output=tmp_path / "x.csv").up_to_date
    assert predict(model, of(corpus, "e"), same_speaker=True, output=tmp_path / "x.csv").up_to_date


def test_every_table_marks_a_system_that_used_other_recordings_of_the_speaker(corpus: Path, tmp_path: Path) -> None:
    for name in ("relative", "absolute"):
        output = tmp_path / f"{name}.csv"
        predict_corpus(corpus / "members" / name, corpus / "manifest.jsonl.gz", "test", output=output)
    files = [tmp_path / f"{name}.csv" for name in ("relative", "absolute")]
    results = tmp_path / "RESULTS.md"
    scored = score(files, corpus / "manifest.jsonl.gz", "test", draws=10, results=results)
    assert list(scored.scores) == ["relative [by speaker]", "absolute"]
    assert "relative [by speaker]" in results.read_text()


def test_a_corpus_of_a_merged_manifest_counts_as_one_speaker(corpus: Path, tmp_path: Path) -> None:
    merged = Manifest.read(corpus / "manifest.jsonl.gz")
    of = dict(zip("abcdef", ("one", "one", "two", "three", "four", "four"), strict=True))
    found = {}
    for by in ("corpus", "speaker"):
        fields = [{by: of[u.speaker or ""]} for u in merged]
        folder = tmp_path / by
        utterances = [replace(u, **given) for u, given in zip(merged, fields, strict=True)]
        merged.with_utterances(utterances).write(folder / "manifest.jsonl.gz")
        (folder / "features").symlink_to(corpus / "features")
        (folder / "linear.toml").write_text(EXPERIMENT.format(folder, f'standardise_by = "{by}"'))
        model = run(load_experiment(folder / "linear.toml"), folder / "model", device=CPU).folder
        predict_corpus(model, folder / "manifest.jsonl.gz", "test", output=folder / "test.csv")
        found[by] = Predictions.read(folder / "test.csv")
        assert system_names([str(folder / "test.csv")]) == [f"test [by {by}]"]
    assert found["corpus"].ids == found["speaker"].ids
    np.testing.assert_array_equal(found["corpus"].emotion, found["speaker"].emotion)
