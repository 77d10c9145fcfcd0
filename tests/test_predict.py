from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sertk_msp_podcast.read import read_msp_podcast

import sertk
from sertk import registry
from sertk.checkpoint import Checkpoint
from sertk.config.build import build
from sertk.config.files import load_experiment
from sertk.config.schema import Combination, Data, Use
from sertk.data.find import find_recordings, recording_of
from sertk.data.manifest import Manifest
from sertk.data.recording import Recording
from sertk.data.splits import hold_out
from sertk.encoders.checkpoint import CheckpointEncoder, checkpoint
from sertk.ensemble.predictions import Predictions
from sertk.ensemble.stack import build_stack
from sertk.errors import (
    AudioError,
    CheckpointError,
    DataError,
    LeftOutWarning,
    MissingWordsWarning,
    SertkWarning,
    UsageError,
)
from sertk.experiment import run
from sertk.features.extract import Target, extract, store_card
from sertk.features.store import FeatureStore
from sertk.inference.model import load
from sertk.inference.stores import predict_stores

CPU = torch.device("cpu")
ENCODERS = {"logmel": {"mels": 12, "stack": 10}, "hashed_text": {"dim": 8}}


@pytest.fixture(scope="module")
def corpus(toy_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest, the features of two encoders, and two trained members on them."""
    folder = tmp_path_factory.mktemp("predict")
    manifest, _ = read_msp_podcast(toy_corpus, allow_partial=True)
    manifest = hold_out(manifest, "train", into="held_out", share=0.3)
    manifest.with_utterances(manifest.located()).write(folder / "manifest.jsonl.gz")
    targets = []
    for name, options in ENCODERS.items():
        encoder = build(registry.encoders, Use.model_validate({"use": name, **options}))
        targets.append(Target(folder / "features" / name, store_card(name, options, encoder), encoder))
    extract(targets, _recordings(folder), device=CPU)
    for seed in (1, 2):
        (folder / "experiment.toml").write_text(
            f"""
            init_seed = {seed}
            [data]
            manifest = "{folder}/manifest.jsonl.gz"
            [features]
            speech = "{folder}/features/logmel"
            text = "{folder}/features/hashed_text"
            [fusion]
            use = "late"
            width = 16
            ffn_dim = 16
            [head]
            attributes = ["arousal", "valence"]
            [[stage]]
            name = "full"
            epochs = 1
            optimizer = {{ lr = 1e-3 }}
            """
        )
        run(load_experiment(folder / "experiment.toml"), folder / "members" / f"0{seed}", device=CPU)
    return folder


def test_raw_audio_and_feature_stores_give_the_same_predictions(corpus: Path) -> None:
    model = load(corpus / "members" / "01")
    utterances = Manifest.read(corpus / "manifest.jsonl.gz").split("development")
    stored, faults = predict_stores(model.checkpoint, utterances, device=CPU)
    assert not faults
    raw, faults = model.predict_recordings(_recordings(corpus, "development"))
    assert not faults
    assert raw.ids == stored.ids == tuple(u.id for u in utterances)
    np.testing.assert_allclose(raw.emotion, stored.emotion, atol=1e-5)
    np.testing.assert_allclose(raw.attributes, stored.attributes, atol=1e-5)


def test_all_ways_from_a_model_to_posteriors_agree_whatever_it_was_trained_in(corpus: Path, tmp_path: Path) -> None:
    """Extraction (asked for bfloat16), the features' prediction, that of audio, and what an ensemble is fitted on."""
    member = tmp_path / "half"
    run(load_experiment(corpus / "experiment.toml", ["compute.precision=bfloat16"]), member, device=CPU)
    options = {"folder": str(member), "from_stores": True}
    encoder = build(registry.encoders, Use.model_validate({"use": "checkpoint", **options}))
    card = store_card("checkpoint", options, encoder, dtype="float32", precision="bfloat16")
    recordings = _recordings(corpus, "development")
    extract([Target(tmp_path / "posteriors", card, encoder)], recordings, device=CPU)
    store = FeatureStore.open(tmp_path / "posteriors")
    manifest = Manifest.read(corpus / "manifest.jsonl.gz")
    predictions, _ = predict_stores(Checkpoint.load(member), manifest.split("development"), device=CPU)
    from_audio, _ = load(member).predict_recordings(recordings)
    asked = Combination(
        aggregator=Use(use="soft_vote"), data=Data(manifest=str(corpus / "manifest.jsonl.gz")), fit="development"
    )
    stack = build_stack(asked, manifest, {"half": member}, {}, CPU).stack.posteriors
    for id in stack.table.ids:
        right = store[id][0]  # (C + A,)
        torch.testing.assert_close(stack.sources["half"][id][0], right, atol=2e-6, rtol=1e-6)
        for one in (predictions, from_audio):
            row = one.subset([id])
            values = torch.from_numpy(np.concatenate([row.emotion[0], row.attributes[0]])).float()
            torch.testing.assert_close(values, right, atol=2e-6, rtol=1e-6)


def test_a_prediction_does_not_depend_on_what_stands_beside_it(corpus: Path) -> None:
    model = load(corpus / "members" / "01")
    recordings = _recordings(corpus, "development")[:12]
    together, _ = model.predict_recordings(recordings, frame_budget=1000)
    shuffled, _ = model.predict_recordings(recordings[::-1], max_batch=5)
    for recording in recordings:
        alone, _ = model.predict_recordings([recording])
        for others in (together, shuffled):
            np.testing.assert_allclose(alone.emotion, others.subset([recording.id]).emotion, atol=1e-5)
            np.testing.assert_allclose(alone.attributes, others.subset([recording.id]).attributes, atol=1e-5)


def test_a_checkpoint_is_an_encoder_from_stores_and_from_audio_alike(corpus: Path) -> None:
    recordings = _recordings(corpus, "development")[:6]
    folder = str(corpus / "members" / "01")
    outputs = []
    for encoder in (checkpoint(folder=folder, from_stores=True), checkpoint(folder=folder)):
        assert (encoder.modality, encoder.dim, encoder.frames_per_second) == ("posterior", 8 + 2, 0.0)
        outputs.append(torch.stack([_encode(encoder, recording) for recording in recordings]))
        torch.testing.assert_close(outputs[-1][:, :8].sum(1), torch.ones(6))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=0)


def test_an_ensemble_runs_each_distinct_encoder_once(corpus: Path, tmp_path: Path) -> None:
    ensemble = _ensemble(corpus, tmp_path)
    model = load(ensemble)
    assert sorted(encoder.modality for encoder in model.encoders.values()) == ["speech", "text"]
    calls = dict.fromkeys(model.encoders, 0)
    for key, encoder in model.encoders.items():
        encoder.register_forward_hook(lambda *_, key=key: calls.update({key: calls[key] + 1}))  # type: ignore[attr-defined]
    together, _ = model.predict_recordings(_recordings(corpus, "development")[:8], frame_budget=1000)
    assert set(calls.values()) == {1}
    members = [
        load(corpus / "members" / name).predict_recordings(_recordings(corpus, "development")[:8])[0]
        for name in ("01", "02")
    ]
    np.testing.assert_allclose(together.emotion, np.mean([m.emotion for m in members], axis=0), atol=1e-5)


def test_an_ensemble_folder_can_be_moved(corpus: Path, tmp_path: Path) -> None:
    ensemble = _ensemble(corpus, tmp_path)
    recording = _recordings(corpus, "development")[0]
    before, _ = load(ensemble).predict_recordings([recording])
    moved = shutil.move(ensemble, tmp_path / "moved")
    after, _ = load(moved).predict_recordings([recording])
    np.testing.assert_array_equal(before.emotion, after.emotion)


def test_a_bad_recording_is_left_out_and_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_text("this is no audio")
    good = _recordings(corpus, "development")[0]
    recordings = [recording_of(tmp_path / "noise.wav"), good, recording_of(tmp_path / "gone.wav")]
    with pytest.warns(MissingWordsWarning, match="2 of 3"):
        predictions, faults = load(corpus / "members" / "01").predict_recordings(recordings)
    assert predictions.ids == (good.id,)
    assert {Path(fault.place).name for fault in faults} == {"noise.wav", "gone.wav"}


def test_a_single_bad_recording_is_an_error(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav: the file is empty"):
        load(corpus / "members" / "01").predict(tmp_path / "empty.wav", text="hello")


def test_words_change_the_prediction_and_are_found_beside_the_recording(corpus: Path, tmp_path: Path) -> None:
    audio = Path(shutil.copy(_recordings(corpus, "development")[0].utterance.audio, tmp_path / "a.wav"))
    model = load(corpus / "members" / "01")
    with pytest.warns(MissingWordsWarning):
        without = model.predict(audio)
    given = model.predict(audio, text="what a wonderful day")
    (tmp_path / "a.txt").write_text("what a wonderful day\n")
    assert model.predict(audio).probabilities == given.probabilities
    assert given.probabilities != without.probabilities
    assert sum(given.probabilities.values()) == pytest.approx(1)
    assert given.emotion == max(given.probabilities, key=lambda name: given.probabilities[name])
    assert list(given.attributes) == ["arousal", "valence"]


def test_recordings_are_found_in_folders(tmp_path: Path) -> None:
    for name in ("b/two.FLAC", "a/one.wav", "a/notes.txt", "three.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, faults = find_recordings([tmp_path / "a", tmp_path / "b", tmp_path / "three.mp3"])
    assert [Path(recording.id).name for recording in found] == ["one.wav", "two.FLAC", "three.mp3"]
    assert faults == []
    with pytest.raises(AudioError, match="no such file"):
        find_recordings([tmp_path / "gone"])
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="no recording found"):
        find_recordings([tmp_path / "c"])
    with pytest.raises(DataError, match="one text for 2"):
        find_recordings([tmp_path / "a", tmp_path / "b"], text="words")


def test_features_of_another_encoder_are_refused(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "members" / "01", tmp_path / "model")
    config = (tmp_path / "model" / "config.toml").read_text()
    other = {"mels": 12, "stack": 10, "hop_ms": 12.5}
    encoder = build(registry.encoders, Use.model_validate({"use": "logmel", **other}))
    target = Target(tmp_path / "features", store_card("logmel", other, encoder), encoder)
    extract([target], _recordings(corpus, "development"), device=CPU)
    (tmp_path / "model" / "config.toml").write_text(
        config.replace(f"{corpus}/features/logmel", f"{tmp_path}/features")
    )
    (tmp_path / "model" / "SHA256SUMS").unlink()
    utterances = Manifest.read(corpus / "manifest.jsonl.gz").split("development")
    with pytest.raises(CheckpointError, match=r"is not what .* was trained on: .*Extract it again"):
        predict_stores(Checkpoint.load(tmp_path / "model"), utterances, device=CPU)


def test_an_encoder_that_changed_since_training_is_refused(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "members" / "01", tmp_path / "model")
    card = (tmp_path / "model" / "card.json").read_text()
    (tmp_path / "model" / "card.json").write_text(card.replace('"mels": 12', '"mels": 13'))
    (tmp_path / "model" / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match="not the one the model was trained with"):
        load(tmp_path / "model")


def test_predictions_of_an_unlabelled_split_are_written_and_read(corpus: Path, tmp_path: Path) -> None:
    utterances = Manifest.read(corpus / "manifest.jsonl.gz").split("test3")
    predictions, faults = predict_stores(Checkpoint.load(corpus / "members" / "01"), utterances, device=CPU)
    assert not faults
    predictions.write(tmp_path / "test3.csv")
    again = Predictions.read(tmp_path / "test3.csv")
    assert again.ids == predictions.ids
    np.testing.assert_array_equal(again.emotion, predictions.emotion)


def _recordings(corpus: Path, split: str | None = None) -> list[Recording]:
    manifest = Manifest.read(corpus / "manifest.jsonl.gz")
    return [Recording(u) for u in manifest.located() if split in (None, u.split)]


def _encode(encoder: CheckpointEncoder, recording: Recording) -> torch.Tensor:
    from sertk.tensors import Padded

    inputs = {name: Padded.of([value]) for name, value in encoder.prepare(recording).items()}
    with torch.no_grad():
        return encoder(inputs).data[0, 0]


def _ensemble(corpus: Path, folder: Path) -> Path:
    """A soft vote of the two members, put together by hand."""
    from sertk.cards import EncoderSpec
    from sertk.config.schema import Head

    one = Checkpoint.load(corpus / "members" / "01")
    specs = {
        name: EncoderSpec(
            "checkpoint",
            {"folder": f"members/{name}"},
            Checkpoint.load(corpus / "members" / name).fingerprint,
            "posterior",
            10,
            0.0,
        )
        for name in ("01", "02")
    }
    experiment = one.experiment.model_copy(
        update={
            "fusion": Use.model_validate({"use": "posterior_mean", "classes": 8}),
            "head": Head(kind="identity", attributes=["arousal", "valence"]),
            "features": {"01": "posteriors/01", "02": "posteriors/02"},
            "stage": [],
        }
    )
    vote = Checkpoint(experiment, replace(one.card, name="vote", encoders=specs), {}, one.train_ids)
    vote.save(folder / "vote", {name: corpus / "members" / name for name in specs})
    return folder / "vote"


def test_the_package_loads_a_model_in_one_call(corpus: Path) -> None:
    import sertk

    recording = _recordings(corpus, "development")[0].utterance
    answer = sertk.load(corpus / "members" / "01").predict(recording.audio, text=recording.text)
    assert answer.emotion in sertk.load(corpus / "members" / "01").checkpoint.card.labels


def test_a_model_and_its_answer_say_what_they_are(corpus: Path) -> None:
    model = load(corpus / "members" / "01")
    assert "Happy" in repr(model)
    assert repr(model).endswith("arousal, valence; reads logmel, hashed_text; on cpu)")
    answer = model.predict(_recordings(corpus, "development")[0].utterance.audio, text="what a day")
    first = f"{answer.emotion} {answer.probabilities[answer.emotion]:.2f}"
    assert repr(answer).startswith(f"Prediction({answer.id!r}: {first}, ")
    assert repr(answer).endswith(
        f", 5 more; arousal {answer.attributes['arousal']:.2f}, valence {answer.attributes['valence']:.2f})"
    )


def test_a_file_a_list_and_samples_give_the_same_answer(corpus: Path) -> None:
    model = load(corpus / "members" / "01")
    paths = [Path(recording.utterance.audio) for recording in _recordings(corpus, "development")[:3]]
    one = model.predict(paths[0], text="hello there")
    samples, rate = soundfile.read(paths[0], dtype="float64")
    assert model.predict(samples, rate, text="hello there").probabilities == pytest.approx(
        one.probabilities, abs=1e-5
    )
    assert model.predict(np.stack([samples, samples], axis=1), rate, text="hello there").emotion == one.emotion
    several = model.predict(paths)
    assert several.ids == tuple(map(str, paths))
    with pytest.raises(UsageError, match="sample rate"):
        model.predict(samples)  # type: ignore[call-overload]
    with pytest.raises(AudioError, match="divide 16-bit integers"):
        model.predict((samples * 32767).astype(np.int16), rate)


def test_embeddings_are_the_fused_vectors_whatever_is_beside_them(corpus: Path) -> None:
    model = load(corpus / "members" / "01")
    paths = [recording.utterance.audio for recording in _recordings(corpus, "development")[:4]]
    vectors = model.embed(paths)
    assert vectors.shape == (4, 16)
    for path, vector in zip(paths, vectors, strict=True):
        np.testing.assert_allclose(model.embed(path), vector, atol=1e-5)


def test_what_is_left_out_or_has_no_words_is_warned_of(corpus: Path, tmp_path: Path) -> None:
    model = load(corpus / "members" / "01")
    bad, mute = tmp_path / "bad.wav", tmp_path / "mute.wav"
    bad.write_bytes(b"no sound")
    shutil.copy(_recordings(corpus, "development")[0].utterance.audio, mute)
    with pytest.warns(MissingWordsWarning, match="1 of 1 recordings have no words"):
        model.predict(mute)
    good = _recordings(corpus, "development")[1].utterance.audio
    with pytest.warns(SertkWarning) as caught:
        result = sertk.predict(model, [good, mute, bad], output=tmp_path / "p.csv")
    assert {warning.category for warning in caught} == {MissingWordsWarning, LeftOutWarning}
    assert result.predictions is not None
    assert result.predictions.ids == (good, str(mute))
    assert (tmp_path / "p.csv.left_out.tsv").read_text().startswith(str(bad))
    assert sertk.predict(model, [good, mute, bad], output=tmp_path / "p.csv").up_to_date


def test_recordings_much_longer_than_those_of_training_are_named(corpus: Path, tmp_path: Path) -> None:
    model = load(corpus / "members" / "01", device="cpu")
    usual = model.checkpoint.card.notes["trained_s"]
    durations = [one.duration for one in Manifest.read(corpus / "manifest.jsonl.gz").split("train")]
    assert min(durations) < usual <= max(durations)
    samples = np.random.default_rng(0).normal(0, 0.1, round(4 * usual * 8_000))
    soundfile.write(tmp_path / "long.wav", samples, 8_000)
    soundfile.write(tmp_path / "short.wav", samples[:8_000], 8_000)
    for name in ("long", "short"):
        (tmp_path / f"{name}.txt").write_text("words")
    with pytest.warns(SertkWarning, match=r"much longer .* 1 of 2 recordings, such as .*long\.wav") as warned:
        sertk.predict(model, [tmp_path / "long.wav", tmp_path / "short.wav"])
    assert "sertk timeline" in str(warned[0].message)
