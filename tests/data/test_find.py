"""Recordings are found whatever their format, and one that cannot be used does not take the others along."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.find import find_files, find_recordings, recording_of, recordings_of
from sertk.data.formats import AUDIO_SUFFIXES, OTHER_SUFFIXES
from sertk.errors import AudioError, DataError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_every_format_that_can_be_read_is_found_in_a_folder_of_any_depth(tmp_path: Path) -> None:
    names = [f"{number % 3}/deep/x{suffix}" for number, suffix in enumerate(sorted(AUDIO_SUFFIXES))]
    touch(tmp_path, *names, "0/NOISE.AIFF", "0/notes.txt", "0/table.csv", "0/features.mat")
    (tmp_path / "folder.wav").mkdir()
    found, faults = find_files([tmp_path])
    assert found == sorted(tmp_path / name for name in [*names, "0/NOISE.AIFF"])
    assert faults == []


def test_sound_and_video_of_other_formats_is_named_with_how_to_convert_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", *(f"x{suffix}" for suffix in OTHER_SUFFIXES), "b/Talk.M4A")
    found, faults = find_files([tmp_path])
    assert found == [tmp_path / "a.wav"]
    assert len(faults) == len(OTHER_SUFFIXES) + 1
    messages = {Path(fault.place).name: fault.message for fault in faults}
    assert messages["Talk.M4A"] == "m4a is not supported; convert it: ffmpeg -i Talk.M4A Talk.wav"
    assert messages["x.webm"] == "webm is not supported; convert it: ffmpeg -i x.webm x.wav"


def test_a_folder_with_nothing_but_other_formats_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "a.m4a", "b.webm")
    with pytest.raises(
        DataError, match=r"no recording found.*2 must be converted first.*a\.m4a: m4a is not supported"
    ):
        find_files([tmp_path])


def test_a_file_that_is_named_twice_is_taken_once_and_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.bin")
    found, _ = find_files([tmp_path / "a.wav", tmp_path, tmp_path / "b.bin"])
    assert found == [tmp_path / "a.wav", tmp_path / "b.bin"]


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"two\nlines.wav", b"clear\x1b[2J.wav", "a\u2028b.wav".encode()])
def test_a_name_that_no_file_of_results_could_hold_is_a_fault_of_that_recording(tmp_path: Path, name: bytes) -> None:
    touch(tmp_path, "a.wav", "z.wav")
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "x").removesuffix(b"x") + name))
    odd.touch()
    recordings, (fault,) = find_recordings([tmp_path])
    assert [Path(recording.id).name for recording in recordings] == ["a.wav", "z.wav"]
    assert fault.place == str(odd)
    assert fault.message.endswith("rename the file")


@pytest.mark.parametrize("words", ["größer".encode("latin-1"), "hello".encode("utf-16")])
def test_words_that_are_no_utf_8_are_a_fault_of_that_recording(tmp_path: Path, words: bytes) -> None:
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    (tmp_path / "a.txt").write_text("größer", encoding="utf-8-sig")
    (tmp_path / "b.txt").write_bytes(words)
    recordings, (fault,) = find_recordings([tmp_path])
    assert [(Path(r.id).name, r.utterance.text) for r in recordings] == [("a.wav", "größer"), ("c.wav", None)]
    assert "b.txt: the words are not UTF-8 (byte " in fault.message
    assert "save the file as UTF-8" in fault.message
    recordings, faults = recordings_of(find_files([tmp_path])[0], words=False)  # of no account where none are read
    assert ([r.utterance.text for r in recordings], faults) == ([None, None, None], [])
    with pytest.raises(AudioError, match="not UTF-8"):
        recording_of(tmp_path / "b.wav")
    assert recording_of(tmp_path / "b.wav", text="given").utterance.text == "given"


def test_words_are_taken_from_the_folder_of_transcripts_too(tmp_path: Path) -> None:
    touch(tmp_path, "Audios/a.flac")
    (tmp_path / "Transcripts").mkdir()
    (tmp_path / "Transcripts" / "a.txt").write_text(" hello \n")
    (tmp_path / "Audios" / "a.txt").mkdir()  # no transcript
    assert recording_of(tmp_path / "Audios" / "a.flac").utterance.text == "hello"


def test_recordings_of_unusual_formats_are_read_like_any_other(tmp_path: Path) -> None:
    voice = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)
    for name, form in (("a.aiff", "AIFF"), ("b.oga", "OGG"), ("c.au", "AU"), ("d.caf", "CAF"), ("e.w64", "W64")):
        soundfile.write(tmp_path / name, voice, 16_000, format=form)
    recordings, faults = find_recordings([tmp_path])
    assert faults == []
    assert [len(recording.waveform()) for recording in recordings] == [16_000] * 5
