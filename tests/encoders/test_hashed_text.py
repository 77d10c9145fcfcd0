from __future__ import annotations

import os
import subprocess
import sys
import unicodedata

import pytest
import torch

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.hashed_text import hashed_text, words
from sertk.errors import EncoderError
from sertk.registry import encoders
from sertk.tensors import Padded


def said(text: str | None) -> Recording:
    return Recording(Utterance(id="a", audio="a.wav", text=text))


def encoded(text: str | None, **options: int) -> torch.Tensor:
    encoder = hashed_text(**options)
    return encoder(Padded.of([encoder.prepare(said(text))])).sequence(0)


def test_it_is_registered() -> None:
    assert encoders.get("hashed_text") is hashed_text


def test_one_frame_a_word_of_length_one() -> None:
    frames = encoded("Well, I'm   NOT sure!")
    assert frames.shape == (4, 64)
    assert torch.allclose(frames.norm(dim=1), torch.ones(4))
    assert words("Well, I'm   NOT sure! Größe") == ["well", "i'm", "not", "sure", "größe"]


SENTENCES = {
    "German": ("Größe läßt Öfen kalt", ["größe", "läßt", "öfen", "kalt"]),
    "French": ("Où est l’élève ?", ["où", "est", "l'élève"]),
    "Vietnamese": ("Tôi rất vui được gặp bạn", ["tôi", "rất", "vui", "được", "gặp", "bạn"]),
    "Hindi": ("मैं बहुत खुश हूँ।", ["मैं", "बहुत", "खुश", "हूँ"]),
    "Tamil": ("நான் மகிழ்ச்சியாக இருக்கிறேன்", ["நான்", "மகிழ்ச்சியாக", "இருக்கிறேன்"]),
    "Thai": ("วันนี้ฉันมีความสุข มาก", ["วันนี้ฉันมีความสุข", "มาก"]),
    "Arabic": ("أَنَا سَعِيدٌ جِدًّا", ["أَنَا", "سَعِيدٌ", "جِدًّا"]),
    "Persian": ("من خوشحالم که می\u200cروم", ["من", "خوشحالم", "که", "می\u200cروم"]),
    "Turkish": ("İyi günler", ["i\u0307yi", "günler"]),
    "Korean": ("나는 행복해요", ["나는", "행복해요"]),
}


@pytest.mark.parametrize("language", SENTENCES)
def test_marks_belong_to_words_and_composed_or_decomposed_spelling_makes_no_difference(language: str) -> None:
    text, expected = SENTENCES[language]
    forms = {form: unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    assert [words(form) for form in forms.values()] == [[unicodedata.normalize("NFC", w) for w in expected]] * 2
    assert torch.equal(encoded(forms["NFC"]), encoded(forms["NFD"]))


def test_how_a_text_was_typed_makes_no_difference() -> None:
    assert words("I don’t co\u00adoperate") == words("I don't cooperate") == ["i", "don't", "cooperate"]
    assert words("\u0301 ☀\ufe0f 'tis") == ["tis"]  # a mark without a letter is no word


@pytest.mark.parametrize("text", [None, "", "  \n", "... ?!"])
def test_a_transcript_without_words_is_one_zero_frame(text: str | None) -> None:
    frames = encoded(text)
    assert frames.shape == (1, 64)
    assert (frames == 0).all()


def test_case_and_punctuation_do_not_matter_but_order_does() -> None:
    assert torch.equal(encoded("Go away!"), encoded("go, AWAY"))
    assert torch.equal(encoded("go away"), encoded("away go").flip(0))


def test_words_that_share_letters_are_nearer() -> None:
    angry, angrily, anger, happy = encoded("angry angrily anger happy", dim=512)
    assert angry @ angrily > 0.3
    assert angry @ anger > 0.15
    assert abs(angry @ happy) < 0.15


def test_short_words_have_vectors() -> None:
    frames = encoded("a I ab")
    assert torch.allclose(frames.norm(dim=1), torch.ones(3))
    assert not torch.equal(frames[0], frames[1])


@pytest.mark.parametrize("dim", [1, 7, 512, 513, 1100])
def test_any_width(dim: int) -> None:
    assert encoded("some words", dim=dim).shape == (2, dim)


def test_another_process_with_another_hash_seed_hashes_alike() -> None:
    code = "from sertk.encoders.hashed_text import word_vector; print(word_vector('wörd', 64, 3, 5).tobytes().hex())"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == encoded("wörd")[0].numpy().tobytes().hex() + "\n"


def test_the_fingerprint_tells_options_apart() -> None:
    made = [hashed_text(), hashed_text(dim=65), hashed_text(shortest=2), hashed_text(longest=6)]
    assert len({encoder.fingerprint for encoder in made}) == 4
    assert hashed_text().fingerprint == made[0].fingerprint


def test_frames_given_out_do_not_share_memory() -> None:
    encoder = hashed_text()
    first = encoder.prepare(said("word word"))
    first.zero_()
    assert encoder.prepare(said("word word")).abs().sum() > 0


@pytest.mark.parametrize("options", [{"dim": 0}, {"shortest": 0}, {"shortest": 4, "longest": 3}])
def test_options_that_make_no_vectors_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(EncoderError, match="hashed_text: dim"):
        hashed_text(**options)
