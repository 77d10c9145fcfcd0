from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.data.audio import audio_info, read_audio
from sertk.data.containers import NO_LENGTH
from sertk.data.formats import AUDIO_SUFFIXES, OTHER_SUFFIXES, is_recording
from sertk.data.headers import header
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError

FORMATS = {
    "wav": {},
    "flac": {},
    "ogg": {},
    "mp3": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "float.wav": {"subtype": "FLOAT"},
    "24.wav": {"subtype": "PCM_24"},
    "rf64.wav": {"format": "RF64"},
}
LOSSY = {"ogg", "mp3", "opus"}


def tone(rate: int = 16_000, seconds: float = 2.0, hertz: float = 440.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16_000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"a.{name}", tone(), **FORMATS[name])
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert samples.shape == (32_000,)
    middle = slice(4000, 28_000)
    assert np.abs(samples - tone())[middle].max() < (0.05 if name in LOSSY else 1e-4)
    info = audio_info(path)
    assert (info.sample_rate, info.channels, info.seconds) == (16_000, 1, 2.0)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_recording_is_refused_in_each_format(tmp_path: Path, name: str, share: float) -> None:
    noise = tone() + np.random.default_rng(0).normal(0, 0.05, 32_000).astype(np.float32)
    content = write(tmp_path / f"a.{name}", noise, **FORMATS[name]).read_bytes()
    cut = tmp_path / f"cut.{name}"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError, match="cut"):
        read_audio(cut)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such recording"),
        (b"", "is empty"),
        (b"Not audio at all, only words. " * 50, "not audio that can be read"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not audio that can be read"),
        (b"\x00" * 5000, "not audio that can be read"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)


def test_a_folder_and_a_name_too_long_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / ("x" * 300 + ".wav")):
        with pytest.raises(AudioError):
            read_audio(path)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"RIFF\x00\x00\x00\x00WAVE"])
)
def test_no_bytes_give_anything_but_samples_or_an_audio_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.wav"
    path.write_bytes(magic + content)
    with suppress(AudioError):
        assert len(read_audio(path)) > 0


@pytest.mark.parametrize("level", [0.0, 5e-5])
def test_a_silent_recording_is_refused(tmp_path: Path, level: float) -> None:
    with pytest.raises(AudioError, match="silent"):
        read_audio(write(tmp_path / "a.wav", tone() * level, subtype="FLOAT"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = tone()
    samples[100] = value
    with pytest.raises(AudioError, match="not finite"):
        read_audio(write(tmp_path / "a.wav", samples, subtype="FLOAT"))


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([tone(hertz=300), tone(hertz=700)], axis=1)
    samples = read_audio(write(tmp_path / "a.wav", stereo, subtype="FLOAT"))
    assert np.abs(samples - stereo.mean(axis=1)).max() < 1e-6


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    samples = read_audio(write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT"))
    assert abs(len(samples) - 32_000) <= 1
    assert np.abs(samples[1000:31_000] - tone()[1000:31_000]).max() < 1e-3
    assert read_audio(tmp_path / "a.wav", sample_rate=rate).shape == (2 * rate,)


def test_a_part_is_cut_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(), subtype="FLOAT")
    assert np.array_equal(read_audio(path, start=0.5, duration=0.25), tone()[8000:12_000])
    assert np.array_equal(read_audio(path, start=1.5), tone()[24_000:])
    assert len(read_audio(path, start=1.5, duration=0.501)) == 8000  # written with three decimals


@pytest.mark.parametrize(
    ("start", "duration", "message"),
    [
        (3.0, None, "nothing to read"),
        (2.0, 0.001, "nothing to read"),
        (1.0, 2.0, "ends at 2.000 s"),
        (-1.0, None, "must be finite"),
        (float("nan"), None, "must be finite"),
        (0.0, 0.0, "duration > 0"),
        (0.0, float("inf"), "must be finite"),
    ],
)
def test_a_part_outside_the_recording_is_refused(
    tmp_path: Path, start: float, duration: float | None, message: str
) -> None:
    path = write(tmp_path / "a.wav", tone())
    with pytest.raises(AudioError, match=message):
        read_audio(path, start=start, duration=duration)


def test_a_header_that_promises_days_is_refused_without_asking_for_memory(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "a.wav", tone(rate=8000, seconds=0.1), 8000, subtype="PCM_U8").read_bytes())
    content[24:28] = (1).to_bytes(4, "little")  # 1 Hz: 800 samples are 800 s
    content[40:44] = (2**30).to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(content)
    with pytest.raises(AudioError):
        read_audio(tmp_path / "b.wav")


def test_too_few_samples_to_resample_are_refused_or_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.full(1, 0.5, dtype=np.float32), 48_000)
    with pytest.raises(AudioError, match="too short"):
        read_audio(path, sample_rate=8000)


def test_a_recording_reads_each_rate_once_and_knows_its_duration(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    recording = Recording(Utterance(id="a", audio=str(path), start=0.5))
    assert recording.seconds == 1.5
    copy = recording.copy()
    first = copy.waveform()
    path.unlink()
    assert copy.waveform() is first
    assert copy.copy().waveform() is first
    assert copy.seconds == 1.5
    with pytest.raises(AudioError, match="no such recording"):
        recording.waveform()
    assert Recording(Utterance(id="a", audio="gone.wav", duration=0.7)).seconds == 0.7


def with_length(
    path: Path, length: int, *, samples: np.ndarray | None = None, behind: bytes = b"", **options: str
) -> Path:
    """A WAV file with this length in the header of its data, as a writer to a pipe leaves it."""
    content = bytearray(write(path, tone() if samples is None else samples, **options).read_bytes() + behind)
    place = content.index(b"data") + 4
    content[place : place + 4] = length.to_bytes(4, "little")
    path.write_bytes(content)
    return path


PLACEHOLDERS = (0, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0000 - 44, 0xFFFF_FFFF, 0xFFFF_FFFF - 36)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("length", PLACEHOLDERS, ids=hex)
def test_a_placeholder_for_the_length_is_read_to_the_end_with_a_remark(
    tmp_path: Path, length: int, subtype: str
) -> None:
    path = with_length(tmp_path / "a.wav", length, subtype=subtype)
    right = read_audio(write(tmp_path / "b.wav", tone(), subtype=subtype))
    remarks: list[str] = []
    assert np.array_equal(read_audio(path, remark=remarks.append), right)
    assert np.array_equal(read_audio(path, start=0.5, duration=0.25), right[8000:12_000])
    assert remarks == [NO_LENGTH]
    for info in (audio_info(path), header(path)):
        assert (info.frames, info.sample_rate, info.remark) == (32_000, 16_000, NO_LENGTH)
    stereo = with_length(tmp_path / "c.wav", length, samples=np.stack([tone(), tone()], axis=1), subtype=subtype)
    assert header(stereo).frames == audio_info(stereo).frames == len(read_audio(stereo)) == 32_000


def test_a_header_with_its_length_gets_no_remark(tmp_path: Path) -> None:
    remarks: list[str] = []
    path = write(tmp_path / "a.wav", tone())
    read_audio(path, remark=remarks.append)
    assert (remarks, audio_info(path).remark, header(path).remark) == ([], "", "")


def test_a_length_that_is_no_placeholder_is_still_a_truncation(tmp_path: Path) -> None:
    for length in (64_002, 10**6, 0x7000_0000, 0xFFFF_0000):
        path = with_length(tmp_path / "a.wav", length, subtype="PCM_16")
        with pytest.raises(AudioError, match="truncated"):
            read_audio(path)
        with pytest.raises(AudioError, match="truncated"):
            header(path)


def test_data_that_is_empty_before_other_chunks_stays_empty(tmp_path: Path) -> None:
    path = with_length(tmp_path / "a.wav", 0, samples=tone()[:0], subtype="PCM_16", behind=b"LIST\x04\0\0\0INFO")
    assert header(path).frames == audio_info(path).frames == 0
    with pytest.raises(AudioError, match="nothing to read"):
        read_audio(path)


def test_a_flac_that_does_not_say_how_long_it_is_is_refused_with_what_to_do(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "a.flac", tone()).read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(AudioError, match=r"does not say how long it is; convert it: ffmpeg -i a\.flac a\.wav"):
        read_audio(tmp_path / "a.flac")


def test_every_reader_of_one_recording_gets_the_remark(tmp_path: Path) -> None:
    path = with_length(tmp_path / "a.wav", 0xFFFF_FFFF, subtype="PCM_16")
    recording = Recording(Utterance(id="a", audio=str(path)))
    for rate in (16_000, 16_000, 8000):
        recording.remarks.clear()
        recording.waveform(rate)
        assert recording.remarks == [NO_LENGTH]
    assert recording.copy().remarks == []


@pytest.mark.parametrize("scale", [32_768.0, 8_388_608.0, 60.0])
@pytest.mark.parametrize("name", ["a.wav", "a.au", "a.aiff"])
def test_integers_written_as_floats_are_refused(tmp_path: Path, scale: float, name: str) -> None:
    with pytest.raises(AudioError, match="integers written as floats"):
        read_audio(write(tmp_path / name, tone() * scale, subtype="FLOAT"))


def test_integers_given_by_hand_are_refused_too() -> None:
    for samples in ((tone() * 32_768).astype(np.int16), tone() * np.float32(32_768)):
        with pytest.raises(AudioError, match="made by hand: the peak is 13107"):
            Recording(Utterance(id="made by hand", audio=""), {16_000: samples}).waveform()


@pytest.mark.parametrize("scale", [0.01, 1.0, 2.5, 10.0])
def test_floats_somewhat_above_full_scale_are_read_as_they_are(tmp_path: Path, scale: float) -> None:
    samples = read_audio(write(tmp_path / "a.wav", tone() * scale, subtype="FLOAT"))
    assert np.abs(samples).max() == pytest.approx(0.4 * scale, rel=1e-3)


CONTAINERS = {
    **{"wav": "WAV", "wave": "WAVEX", "bwf": "WAV", "rf64": "RF64", "w64": "W64", "flac": "FLAC", "ogg": "OGG"},
    **{"oga": "OGG", "mp3": "MP3", "aif": "AIFF", "aiff": "AIFF", "aifc": "AIFF", "au": "AU", "snd": "AU"},
    **{"caf": "CAF", "sph": "NIST", "nist": "NIST", "voc": "VOC", "sf": "IRCAM", "ircam": "IRCAM", "avr": "AVR"},
    **{"htk": "HTK", "svx": "SVX", "8svx": "SVX", "iff": "SVX", "paf": "PAF", "fap": "PAF", "pvf": "PVF"},
    **{"sd2": "SD2", "sds": "SDS", "wve": "WVE"},
}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_format_that_is_taken_is_read(tmp_path: Path, suffix: str) -> None:
    rate = 8000 if suffix == "wve" else 16_000
    path = write(tmp_path / f"a.{suffix}", tone(rate), rate, format=CONTAINERS[suffix])
    assert is_recording(path)
    samples = read_audio(path)
    assert len(samples) == 32_000
    assert np.abs(samples - tone())[4000:28_000].max() < 0.05
    assert header(path).frames == audio_info(path).frames == 2 * rate


def test_every_format_that_libsndfile_reads_is_taken() -> None:
    """Save for those whose endings mean other things (.mat, .mpc), that do not say their rate (RAW), or cannot seek (XI)."""
    written = {*CONTAINERS.values(), "RAW", "MAT4", "MAT5", "MPC2K", "XI"}
    assert set(soundfile.available_formats()) - written == set()
    lossy = {".opus", ".mp2", ".mp1"}  # other names of what OGG and MP3 hold; read above and in FORMATS
    assert {f".{suffix}" for suffix in CONTAINERS} | lossy == AUDIO_SUFFIXES
    assert not AUDIO_SUFFIXES & OTHER_SUFFIXES


def test_sound_that_cannot_be_read_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    for name, command in (("a.M4A", "-i a.M4A a.wav"), ("b.raw", "-f s16le -ar 16000 -ac 1 -i b.raw b.wav")):
        (tmp_path / name).write_bytes(bytes(range(256)) * 4)
        with pytest.raises(AudioError, match=f"convert it: ffmpeg {command}"):
            read_audio(tmp_path / name)


def test_given_samples_are_resampled_for_whoever_asks_for_another_rate() -> None:
    wave = np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000).astype(np.float32)
    recording = Recording(Utterance(id="made by hand", audio="nowhere.wav"), {16_000: wave})
    slow = recording.waveform(8_000)
    expected = np.sin(2 * np.pi * 100 * np.arange(8_000) / 8_000)
    np.testing.assert_allclose(slow[200:-200], expected[200:-200], atol=1e-3)
    assert recording.seconds == 1.0
    assert recording.copy().waveform(8_000).shape == (8_000,)
