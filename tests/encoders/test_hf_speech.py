from __future__ import annotations

import json
import math
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.compat import import_transformers
from sertk.contracts import Encoder
from sertk.data.recording import Recording
from sertk.encoders.hf_speech import hf_speech
from sertk.errors import AudioError, EncoderError
from sertk.tensors import Padded
from sertk.testing import checks

Tiny = Callable[[str], Path]
Speech = Callable[..., Recording]

ALL = ["wavlm", "hubert", "wav2vec2", "data2vec-audio", "wavlm-group", "hubert-group", "wav2vec2-group", "whisper"]
LENGTHS = [17_000, 40_001, 9_000, 40_001, 31_234]


def plain_loop(folder: Path, recording: Recording, layers: Any = "last4_sum") -> Tensor:
    """What a user writes with transformers alone, for one utterance: (T, D)."""
    transformers = import_transformers()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    samples = recording.waveform()
    inputs = extractor(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        if model.config.model_type == "whisper":
            output = model.get_encoder()(inputs["input_features"], output_hidden_states=True)
        else:
            output = model(inputs["input_values"], output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    if layers == "all":
        found = torch.cat(states, -1)
    elif layers == "last4_sum":
        found = states[-4] + states[-3] + states[-2] + states[-1]
    else:
        found = states[layers]
    return found[0, : math.ceil(len(samples) / 320)] if model.config.model_type == "whisper" else found[0]


def alone(encoder: Encoder, recording: Recording) -> Tensor:
    prepared = encoder.prepare(recording)
    assert isinstance(prepared, Tensor)
    return encoder(Padded.of([prepared])).sequence(0)


@pytest.mark.parametrize("name", ALL)
def test_frames_are_those_of_a_plain_loop_and_do_not_depend_on_the_batch(
    name: str, tiny: Tiny, speech: Speech
) -> None:
    encoder = hf_speech(model=str(tiny(name)))
    encoder.alone_on_cpu = False  # as on a GPU: padded, with a mask
    recordings = [speech(length, seed) for seed, length in enumerate(LENGTHS)]
    batch = encoder(Padded.of([encoder.prepare(r) for r in recordings]))
    assert encoder.frames_per_second == 50
    for row, recording in enumerate(recordings):
        frames = batch.sequence(row)
        assert frames.shape[1] == encoder.dim == 32
        torch.testing.assert_close(frames, plain_loop(tiny(name), recording), atol=1e-4, rtol=0)
        torch.testing.assert_close(frames, alone(encoder, recording), atol=1e-4, rtol=0)
    behind = batch.data[~batch.mask]
    assert torch.equal(behind, torch.zeros_like(behind))


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
@pytest.mark.parametrize("layers", ["last", 0, 2, -1, "all"])
def test_layers_are_those_of_the_model(name: str, layers: Any, tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny(name)), layers=layers)
    frames = alone(encoder, speech(20_000))
    wanted = plain_loop(tiny(name), speech(20_000), -1 if layers == "last" else layers)
    assert encoder.dim == wanted.shape[1] == (5 * 32 if layers == "all" else 32)
    torch.testing.assert_close(frames, wanted, atol=1e-4, rtol=0)


def test_only_layer_norm_front_ends_are_fed_padded(tiny: Tiny) -> None:
    fed = {name: hf_speech(model=str(tiny(name))).batching for name in ALL}
    assert [name for name in ALL if fed[name] == "padded"] == ["wavlm", "hubert", "wav2vec2", "whisper"]
    assert set(fed.values()) == {"padded", "equal_length"}


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 16_000, 47_999])
def test_whisper_gives_the_utterances_own_frames(samples: int, tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")))
    assert len(alone(encoder, speech(samples, 3))) == math.ceil(samples / 320)


def test_whisper_takes_recordings_of_more_than_30_seconds_in_windows(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), overlap_seconds=2.0)
    samples = 16_000 * 65 + 123
    frames = alone(encoder, speech(samples))
    assert len(frames) == math.ceil(samples / 320)
    wave = speech(samples).waveform()
    second = Recording(speech(1).utterance, {16_000: wave[28 * 16_000 : 58 * 16_000]})
    inside = plain_loop(tiny("whisper"), second)[50 : 28 * 50 + 50]  # the second window starts at 28 s
    torch.testing.assert_close(frames[29 * 50 : 57 * 50], inside, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["wavlm", "wavlm-group"])
@pytest.mark.parametrize("samples", [64_000, 64_319, 64_320, 100_001])
def test_windows_give_as_many_frames_as_the_whole(name: str, samples: int, tiny: Tiny, speech: Speech) -> None:
    whole, cut = hf_speech(model=str(tiny(name))), hf_speech(model=str(tiny(name)), window_seconds=2.0)
    assert len(alone(cut, speech(samples))) == len(alone(whole, speech(samples)))
    assert whole.fingerprint != cut.fingerprint


def test_windows_change_nothing_but_what_attention_sees(tiny: Tiny, speech: Speech) -> None:
    # State 0 stands before attention, so joined windows must give exactly what the whole recording gives.
    whole = hf_speech(model=str(tiny("wavlm")), layers=0)
    cut = hf_speech(model=str(tiny("wavlm")), layers=0, window_seconds=3.0, overlap_seconds=1.0)
    torch.testing.assert_close(alone(cut, speech(200_000)), alone(whole, speech(200_000)), atol=1e-4, rtol=0)


def test_a_long_recording_wants_windows(tiny: Tiny, speech: Speech) -> None:
    with pytest.raises(AudioError, match="set window_seconds"):
        hf_speech(model=str(tiny("wavlm"))).prepare(speech(16_000 * 301))


@pytest.mark.parametrize("name", ALL)
def test_a_recording_shorter_than_the_receptive_field_is_one_frame(name: str, tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny(name)))
    frames = alone(encoder, speech(160))
    assert frames.shape == (1, 32)
    assert frames.isfinite().all()


def test_reduced_precision_stays_near(tiny: Tiny, speech: Speech) -> None:
    full = alone(hf_speech(model=str(tiny("hubert"))), speech(32_000))
    half = alone(hf_speech(model=str(tiny("hubert")), dtype="bfloat16"), speech(32_000))
    assert half.dtype == torch.float32
    assert ((half - full).norm() / full.norm()) < 2e-2


def test_the_fingerprint_follows_content_and_options_not_the_place(tiny: Tiny, tmp_path: Path) -> None:
    first = hf_speech(model=str(tiny("wavlm"))).fingerprint
    moved = shutil.copytree(tiny("wavlm"), tmp_path / "elsewhere")
    (moved / "README.md").write_text("whatever is said of it")
    (moved / "vocab.json").write_text("{}")  # of a tokenizer, which no speech encoder reads
    (moved / "merges.txt").write_text("a b")
    assert hf_speech(model=str(moved)).fingerprint == first
    assert hf_speech(model=str(moved), layers="last").fingerprint != first
    settings = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    assert hf_speech(model=str(moved)).fingerprint != first
    assert hf_speech(model=str(tiny("hubert"))).fingerprint != first


def test_weights_are_frozen_and_in_evaluation_mode(tiny: Tiny) -> None:
    encoder = hf_speech(model=str(tiny("hubert")))
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(module.training for module in encoder.model.modules())


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("wavlm-large", True),
        ("hubert-large-ls960-ft", True),
        ("whisper-large-v3", True),
        ("wav2vec2-large-robust-12-ft-emotion-msp-dim", False),
        ("SER-Odyssey-Baseline-WavLM-Categorical", False),
        ("hubert-large-superb-er", False),
    ],
)
def test_emotion_trained_checkpoints_are_not_challenge_legal(
    name: str, legal: bool, tiny: Tiny, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny("wavlm"), tmp_path / name)
    assert hf_speech(model=str(folder)).challenge_legal is legal
    assert hf_speech(model=str(folder), challenge_legal=not legal).challenge_legal is not legal


def test_labels_tell_an_emotion_trained_checkpoint_whatever_its_name(tiny: Tiny, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, id2label={"0": "ANG", "1": "NEU"}, label2id={"ANG": 0, "NEU": 1})
    assert hf_speech(model=str(folder)).challenge_legal is False


# What goes wrong


def copied(tiny: Tiny, tmp_path: Path, **config: Any) -> Path:
    folder = shutil.copytree(tiny("wavlm"), tmp_path / "copy")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


def refused(model: Path | str, *words: str, **options: Any) -> str:
    with pytest.raises(EncoderError) as caught:
        hf_speech(model=str(model), **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


def test_no_hub_and_no_files_names_both_remedies() -> None:
    refused("microsoft/there-is-none", "hf download microsoft/there-is-none", "folder as `model`")
    refused("microsoft/there-is-none", "--revision v9", revision="v9")


def test_a_token_is_never_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    assert "secret" not in refused("microsoft/there-is-none")


def test_a_missing_folder_is_not_sought_on_the_hub(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "there is no such folder")
    refused("./models/wavlm", "there is no such folder")


def test_a_folder_without_config_or_weights_says_what_is_missing(tiny: Tiny, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "config.json")
    folder = copied(tiny, tmp_path)
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights", "model.safetensors")


def test_pickled_weights_are_refused_with_how_to_convert(tiny: Tiny, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    refused(folder, "pytorch_model.bin", "pickled", "sertk convert")


def test_damaged_or_incomplete_weights_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(tiny, tmp_path)
    weights = load_file(folder / "model.safetensors")
    lost = next(key for key in weights if "encoder.layers.1" in key)
    save_file(
        {key: value for key, value in weights.items() if key != lost}, folder / "model.safetensors", {"format": "pt"}
    )
    refused(folder, "missing", lost)
    (folder / "model.safetensors").write_bytes((tiny("wavlm") / "model.safetensors").read_bytes()[:5000])
    refused(folder, "cannot be loaded")


def test_an_unknown_architecture_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    refused(copied(tiny, tmp_path, model_type="wavlm9"), "wavlm9", "wavlm, hubert")


def test_a_text_checkpoint_is_sent_to_hf_text(tiny: Tiny) -> None:
    refused(tiny("roberta"), "roberta", "hf_text")


def test_a_missing_feature_extractor_is_named(tiny: Tiny, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    (folder / "preprocessor_config.json").unlink()
    refused(folder, "feature extractor", "preprocessor_config.json")


def test_options_that_do_not_fit_the_model_are_refused(tiny: Tiny) -> None:
    refused(tiny("wavlm"), "states 0 to 4", layers=5)
    refused(tiny("wavlm"), "at least twice", window_seconds=1.5)
    refused(tiny("wavlm"), "too short", window_seconds=1.5, overlap_seconds=0.0)
    refused(tiny("whisper"), "at most 30", window_seconds=31.0)
    refused(tiny("wavlm"), "cannot be loaded", attention="sdpa")


def test_a_hub_id_is_read_from_the_cache_without_a_connection(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    commit = "0123456789012345678901234567890123456789"
    shutil.copytree(tiny("wavlm"), tmp_path / "models--lab--wavlm" / "snapshots" / commit)
    (tmp_path / "models--lab--wavlm" / "refs").mkdir()
    (tmp_path / "models--lab--wavlm" / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    encoder = hf_speech(model="lab/wavlm")
    assert encoder.fingerprint == hf_speech(model="lab/wavlm", revision=commit).fingerprint
    assert encoder.fingerprint == hf_speech(model=str(tiny("wavlm"))).fingerprint
    refused("lab/wavlm", "--revision other", revision="other")


def test_whispers_padding_can_be_kept_and_is_refused_elsewhere(tiny: Tiny, speech: Speech) -> None:
    own, kept = hf_speech(model=str(tiny("whisper"))), hf_speech(model=str(tiny("whisper")), keep_padding=True)
    frames = kept(Padded.of([kept.prepare(speech(8000))])).sequence(0)
    assert frames.shape == (1500, kept.dim)
    torch.testing.assert_close(frames[:25], own(Padded.of([own.prepare(speech(8000))])).sequence(0))
    assert kept.fingerprint != own.fingerprint
    with pytest.raises(EncoderError, match="keep_padding is for Whisper"):
        hf_speech(model=str(tiny("wavlm")), keep_padding=True)


@pytest.mark.parametrize("name", ["wavlm", "hubert-group", "data2vec-audio", "whisper"])
def test_contract(name: str, tiny: Tiny) -> None:
    model = str(tiny(name))
    for check in checks("encoder", "hf_speech", options={"model": model}, other={"layers": "last"}):
        check()
