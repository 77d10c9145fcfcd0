from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.compat import import_transformers
from sertk.contracts import Transcriber
from sertk.data.recording import Recording
from sertk.errors import EncoderError
from sertk.testing import checks
from sertk.transcribers.whisper import cut_at_pauses, whisper

Tiny = Callable[[str], Path]
Speech = Callable[..., Recording]


def plain_loop(folder: Path, recording: Recording, **told: Any) -> str:
    """What a user writes with transformers alone, for one recording of up to 30 s."""
    transformers = import_transformers()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    inputs = extractor(recording.waveform(), sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    ids = model.generate(**inputs, task="transcribe", **told)
    return str(tokenizer.batch_decode(ids, skip_special_tokens=True)[0]).strip()


def test_words_are_those_of_a_plain_loop_whatever_the_batch(tiny: Tiny, speech: Speech) -> None:
    recordings = [speech(length, seed) for seed, length in enumerate([16_000, 30_000, 8_000, 160, 64_000])]
    together: Transcriber = whisper(model=str(tiny("whisper")), batch_size=3)
    heard = together(recordings)
    assert heard == [plain_loop(tiny("whisper"), recording) for recording in recordings]
    assert heard == whisper(model=str(tiny("whisper")), batch_size=1)(recordings)
    assert any(heard)
    assert together.source == "whisper:whisper"


@pytest.mark.parametrize("told", [{"language": "de"}, {"language": "French"}])
def test_a_fixed_language_is_what_the_model_is_told(told: dict[str, str], tiny: Tiny, speech: Speech) -> None:
    code = {"de": "de", "French": "fr"}[told["language"]]
    assert whisper(model=str(tiny("whisper")), **told)([speech(20_000)]) == [
        plain_loop(tiny("whisper"), speech(20_000), language=code)
    ]


def test_beams_search_further(tiny: Tiny, speech: Speech) -> None:
    heard = whisper(model=str(tiny("whisper")), beams=3)([speech(20_000)])
    assert heard == [plain_loop(tiny("whisper"), speech(20_000), num_beams=3)]


def test_a_long_recording_is_the_words_of_its_windows(tiny: Tiny, speech: Speech) -> None:
    transcriber = whisper(model=str(tiny("whisper")))
    long = speech(16_000 * 70)
    pieces = cut_at_pauses(long.waveform(), longest=480_000, sample_rate=16_000)
    parts = transcriber([Recording(long.utterance, {16_000: piece}) for piece in pieces])
    assert len(pieces) == 3
    assert transcriber([long]) == [" ".join(part for part in parts if part)]


def test_windows_end_at_pauses_and_lose_nothing() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 75).astype(np.float32)
    noise[16_000 * 27 : 16_000 * 27 + 4_000] = 0
    pieces = cut_at_pauses(noise, longest=480_000, sample_rate=16_000)
    assert np.array_equal(np.concatenate(pieces), noise)
    assert max(len(piece) for piece in pieces) <= 480_000
    assert 27 * 16_000 <= len(pieces[0]) <= 27 * 16_000 + 4_000


def test_hearing_leaves_the_random_state_alone(tiny: Tiny, speech: Speech) -> None:
    before = torch.random.get_rng_state()
    whisper(model=str(tiny("whisper")))([speech(16_000)])
    assert torch.equal(torch.random.get_rng_state(), before)


def refused(model: Path, *words: str, **options: Any) -> None:
    with pytest.raises(EncoderError) as caught:
        whisper(model=str(model), **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_what_cannot_transcribe_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    refused(tiny("wavlm"), "wavlm", "give a Whisper")
    refused(tiny("whisper"), "klingon", "Known: de, en, fr", language="klingon")
    refused(tiny("whisper"), "1 or more", beams=0)
    folder = shutil.copytree(tiny("whisper"), tmp_path / "copy")
    settings = json.loads((folder / "generation_config.json").read_text())
    del settings["lang_to_id"]
    (folder / "generation_config.json").write_text(json.dumps(settings))
    refused(folder, "lang_to_id", language="de")


def test_contract(tiny: Tiny) -> None:
    for check in checks("transcriber", "whisper", options={"model": str(tiny("whisper"))}):
        check()
