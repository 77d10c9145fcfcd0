from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.hashed_text import hashed_text
from sertk.encoders.logmel import logmel
from sertk.errors import DataError, EncoderError, StoreError
from sertk.features.extract import ExtractReport, Progress, Target, extract, store_card
from sertk.features.store import FeatureStore
from sertk.tensors import Padded

CPU = torch.device("cpu")
ENCODERS = {
    "logmel": (logmel, {}),
    "logmel, stacked, plain": (logmel, {"mels": 24, "stack": 3, "normalise": "none"}),
    "logmel, 8 kHz": (logmel, {"sample_rate": 8000, "mels": 40}),
    "hashed_text": (hashed_text, {"dim": 32}),
}


class Means(torch.nn.Module):
    """The mean and size of every 10 ms, with the faults that an encoder may have."""

    modality = "speech"
    dim = 2
    frames_per_second = 100.0
    fingerprint = "means-1"
    challenge_legal = True

    def __init__(
        self,
        batching: str = "padded",
        memory: float = float("inf"),
        nan: str = "",
        refused: str = "",
        scale: float = 1,
    ) -> None:
        super().__init__()
        self.batching = batching
        self.memory = memory
        self.nan = nan
        self.refused = refused
        self.scale = scale
        self.shapes: list[tuple[int, ...]] = []
        self.lengths: list[list[int]] = []
        self.prepared: list[str] = []

    def prepare(self, recording: Recording) -> torch.Tensor | dict[str, torch.Tensor]:
        self.prepared.append(recording.id)
        wave = torch.from_numpy(recording.waveform(16_000).copy())
        if recording.id == self.nan:
            wave[40] = torch.nan
        if recording.id == self.refused:
            wave[:] = 7
        return {"wave": wave}

    def forward(self, inputs: dict[str, Padded]) -> Padded:
        waves = inputs["wave"]
        self.shapes.append(tuple(waves.data.shape))
        self.lengths.append(waves.lengths.tolist())
        if waves.data.numel() > self.memory:
            raise torch.OutOfMemoryError("out of memory")
        if bool((waves.data == 7).any()):
            raise EncoderError("cannot encode sevens")
        chunks = torch.nn.functional.pad(waves.data, (0, 159)).unfold(1, 160, 160)  # (B, T, 160)
        frames = torch.stack([chunks.mean(-1), chunks.abs().sum(-1)], dim=-1) * self.scale  # (B, T, 2)
        padded = Padded(frames, (waves.lengths + 159) // 160)
        return Padded(frames * padded.mask[..., None].nan_to_num(), padded.lengths)


def target(
    folder: Path,
    encoder: Any,
    name: str = "means",
    dtype: Any = "float32",
    precision: Any = "float32",
    **options: object,
) -> Target:
    return Target(folder, store_card(name, options, encoder, dtype=dtype, precision=precision), encoder)


def run(targets: list[Target], recordings: list[Recording], **options: Any) -> ExtractReport:
    return extract(targets, recordings, device=CPU, **options)


def content(folder: Path) -> dict[str, torch.Tensor]:
    store = FeatureStore.open(folder)
    store.verify()
    return {key: store[key].clone() for key in store}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], tolerance: float = 0.0) -> bool:
    return first.keys() == second.keys() and all(
        first[key].shape == second[key].shape and (first[key] - second[key]).abs().max() <= tolerance for key in first
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_one_at_a_time_gives_what_the_largest_batch_gives(tmp_path: Path, voices: list[Recording], name: str) -> None:
    factory, options = ENCODERS[name]
    encoder = factory(**options)
    run([target(tmp_path / "one", encoder)], voices, max_batch=1)
    run([target(tmp_path / "all", encoder)], voices, max_batch=1000, frame_budget=1e9)
    one = content(tmp_path / "one")
    assert len(one) == len(voices)
    assert same(one, content(tmp_path / "all"), 1e-5)


@pytest.mark.parametrize("batching", ["padded", "equal_length", "single"])
def test_an_encoder_is_fed_as_it_asks_to_be(tmp_path: Path, voices: list[Recording], batching: str) -> None:
    twins = [Recording(replace(r.utterance, id=f"{r.id}-twin")) for r in voices]
    encoder = Means(batching)
    run([target(tmp_path / "s", encoder)], voices + twins, frame_budget=8.0, max_batch=10)
    assert len(FeatureStore.open(tmp_path / "s")) == 60
    sizes = [shape[0] for shape in encoder.shapes]
    assert max(sizes) == {"padded": 10, "equal_length": 2, "single": 1}[batching]
    assert all(shape[0] == 1 or shape[0] * shape[1] <= 8.0 * 16_000 for shape in encoder.shapes)
    if batching == "equal_length":
        assert all(len(set(lengths)) == 1 for lengths in encoder.lengths)
    else:
        longest = [shape[1] for shape in encoder.shapes]
        assert longest == sorted(longest, reverse=True)


def test_several_encoders_in_one_pass_give_what_separate_passes_give(tmp_path: Path, voices: list[Recording]) -> None:
    built = {name: factory(**options) for name, (factory, options) in ENCODERS.items()}
    run([target(tmp_path / "together" / name, encoder) for name, encoder in built.items()], voices)
    for name, encoder in built.items():
        run([target(tmp_path / "alone" / name, encoder)], voices)
        tolerance = 1e-6 if name == "hashed_text" else 1e-5  # alone, text goes in other batches
        assert same(content(tmp_path / "together" / name), content(tmp_path / "alone" / name), tolerance)


def test_encoders_of_one_pass_read_each_recording_once(tmp_path: Path, voices: list[Recording]) -> None:
    copies = [Recording(r.utterance) for r in voices]
    seen: dict[str, set[int]] = {}

    class Looking(Means):
        def prepare(self, recording: Recording) -> dict[str, torch.Tensor]:
            wave = recording.waveform(16_000)
            seen.setdefault(recording.id, set()).add(id(wave))
            kept.append(wave)
            return {"wave": torch.from_numpy(wave)}

    kept: list[np.ndarray] = []
    run([target(tmp_path / name, Looking()) for name in "ab"], copies)
    assert all(len(addresses) == 1 for addresses in seen.values())
    assert len(seen) == 30
    assert all(not recording._read for recording in copies)  # nothing stays in memory


def test_parts_in_one_folder_give_what_one_run_gives(tmp_path: Path, voices: list[Recording]) -> None:
    encoder = logmel(mels=20)
    run([target(tmp_path / "whole", encoder)], voices)
    reports = [run([target(tmp_path / "parts", encoder)], voices, part=(n, 2)) for n in (0, 1)]
    assert [report.targets[0].written for report in reports] == [15, 15]
    assert same(content(tmp_path / "whole"), content(tmp_path / "parts"), 1e-5)
    stores = [FeatureStore.open(tmp_path / name) for name in ("whole", "parts")]
    assert stores[0].fingerprint == stores[1].fingerprint
    assert (tmp_path / "parts" / "index-1of2.json").exists()
    assert run([target(tmp_path / "parts", encoder)], voices).up_to_date


def test_bad_recordings_are_listed_and_the_rest_is_stored(
    tmp_path: Path, voices: list[Recording], bad_recordings: dict[str, Recording]
) -> None:
    folder = tmp_path / "s"
    everything = [*voices[:9], *bad_recordings.values(), *voices[9:]]
    made = target(folder, logmel(mels=20))
    report = run([made], everything)
    assert report.targets[0].written == 30
    assert {failure.id for failure in report.targets[0].failed} == set(bad_recordings)
    assert set(FeatureStore.open(folder)) == {r.id for r in voices}
    lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    messages = {line["id"]: line["message"] for line in lines}
    assert {line["id"]: line["audio"] for line in lines} == {k: r.utterance.audio for k, r in bad_recordings.items()}
    assert "no such recording" in messages["missing"]
    assert "is empty" in messages["empty"]
    assert "truncated" in messages["truncated"]
    assert "silent" in messages["silent"]
    assert "not audio" in messages["text"]
    assert len(messages["header"]) > 0
    assert run([made], everything).up_to_date


def test_a_bad_recording_still_has_its_words(
    tmp_path: Path, voices: list[Recording], bad_recordings: dict[str, Recording]
) -> None:
    both = [target(tmp_path / "speech", logmel(mels=20)), target(tmp_path / "text", hashed_text())]
    report = run(both, [*voices, *bad_recordings.values()])
    assert [t.written for t in report.targets] == [30, 36]
    assert set(bad_recordings) <= set(FeatureStore.open(tmp_path / "text"))


def test_remarks_of_one_encoder_are_not_listed_with_another(tmp_path: Path, voices: list[Recording]) -> None:
    class Remarking(Means):
        def prepare(self, recording: Recording) -> torch.Tensor | dict[str, torch.Tensor]:
            if recording.id in ("u03", "u11"):
                recording.remark("cut")
            return super().prepare(recording)

    plain, remarking = (target(tmp_path / str(n), e) for n, e in enumerate((Means(), Remarking(nan="u11"))))
    run([remarking, plain], voices)
    assert not (plain.folder / "remarks.jsonl").exists()
    lines = (remarking.folder / "remarks.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "u03", "message": "cut"}]  # u11 is in the report


def test_what_was_done_to_read_a_recording_is_listed_with_every_encoder(
    tmp_path: Path, voices: list[Recording]
) -> None:
    content = bytearray(Path(voices[3].utterance.audio).read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = (0x8000_0000).to_bytes(4, "little")
    (tmp_path / "streamed.wav").write_bytes(content)
    streamed = Recording(Utterance(id="streamed", audio=str(tmp_path / "streamed.wav"), text="words"))
    targets = [target(tmp_path / str(number), Means()) for number in range(2)]
    run(targets, [*voices, streamed])
    for made in targets:
        assert torch.equal(FeatureStore.open(made.folder)["streamed"], FeatureStore.open(made.folder)["u03"])
        (line,) = (made.folder / "remarks.jsonl").read_text().splitlines()
        assert json.loads(line)["message"].startswith("the header has a placeholder for the length")


def test_what_is_listed_is_tried_again_when_its_recording_is_another_or_when_asked_for(
    tmp_path: Path, voices: list[Recording], bad_recordings: dict[str, Recording]
) -> None:
    folder = tmp_path / "s"
    recordings = [*voices[:3], bad_recordings["missing"], bad_recordings["silent"]]
    encoder = Means()
    run([target(folder, encoder)], recordings)
    encoder.prepared.clear()
    assert run([target(folder, encoder)], recordings).up_to_date
    assert encoder.prepared == []
    assert not run([target(folder, encoder)], recordings, retry=True).up_to_date
    assert sorted(encoder.prepared) == ["missing", "silent"]
    encoder.prepared.clear()
    Path(bad_recordings["missing"].utterance.audio).write_bytes(Path(voices[5].utterance.audio).read_bytes())
    report = run([target(folder, encoder)], recordings).targets[0]
    assert encoder.prepared == ["missing"]
    assert [failure.id for failure in report.failed] == ["silent"]
    assert (report.written, report.changed, report.kept) == (1, 0, 3)
    assert [json.loads(line)["id"] for line in (folder / "report.jsonl").read_text().splitlines()] == ["silent"]


def test_a_second_run_is_up_to_date(tmp_path: Path, voices: list[Recording]) -> None:
    folder = tmp_path / "s"
    made = target(folder, logmel(mels=20))
    assert not run([made], voices).up_to_date
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*")}
    report = run([made], voices)
    assert report.up_to_date
    assert report.targets[0].kept == 30
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*")} == before


def test_nothing_usable_at_all_is_an_error(tmp_path: Path, bad_recordings: dict[str, Recording]) -> None:
    for _ in range(2):  # the second run has nothing to do, and still nothing to show
        with pytest.raises(DataError, match="none of 6 recordings could be used"):
            run([target(tmp_path / "s", logmel())], list(bad_recordings.values()))
    assert len((tmp_path / "s" / "report.jsonl").read_text().splitlines()) == 6


def test_output_that_is_not_finite_is_listed(tmp_path: Path, voices: list[Recording]) -> None:
    report = run([target(tmp_path / "s", Means(nan="u03"))], voices)
    (failure,) = report.targets[0].failed
    assert (failure.id, failure.message) == ("u03", "encoder 'means' gave NaN or infinite values")
    assert set(FeatureStore.open(tmp_path / "s")) == {r.id for r in voices} - {"u03"}


def test_output_too_large_for_the_dtype_is_listed(tmp_path: Path, voices: list[Recording]) -> None:
    with pytest.raises(DataError, match="values too large for float16: store as bfloat16 or float32"):
        run([target(tmp_path / "s", Means(scale=1e9), dtype="float16")], voices)
    assert run([target(tmp_path / "t", Means(scale=1e9), dtype="bfloat16")], voices).targets[0].written == 30


def test_a_recording_that_an_encoder_refuses_does_not_take_its_batch_along(
    tmp_path: Path, voices: list[Recording]
) -> None:
    report = run([target(tmp_path / "s", Means(refused="u03"))], voices)
    assert [(failure.id, failure.message) for failure in report.targets[0].failed] == [
        ("u03", "cannot encode sevens")
    ]
    assert report.targets[0].written == 29


def test_out_of_memory_halves_the_batch_and_goes_on(tmp_path: Path, voices: list[Recording]) -> None:
    run([target(tmp_path / "plain", Means())], voices)
    encoder = Means(memory=50_000)
    report = run([target(tmp_path / "s", encoder)], voices, frame_budget=1e6, max_batch=1000)
    assert report.targets[0].halvings > 0
    assert report.targets[0].failed == ()
    assert same(content(tmp_path / "plain"), content(tmp_path / "s"))
    too_large = [shape for shape in encoder.shapes if shape[0] * shape[1] > 50_000]
    assert len(too_large) == report.targets[0].halvings  # and no size is tried twice in vain


def test_a_recording_too_large_even_alone_is_listed(tmp_path: Path, voices: list[Recording]) -> None:
    report = run([target(tmp_path / "s", Means(memory=20_000))], voices)
    longer = {r.id for r in voices if r.seconds > 20_000 / 16_000}
    assert longer
    assert {failure.id for failure in report.targets[0].failed} == longer
    assert all("out of memory" in failure.message for failure in report.targets[0].failed)


def test_too_little_disk_is_said_with_both_numbers_beforehand(tmp_path: Path, voices: list[Recording]) -> None:
    encoder = Means()
    encoder.dim = 10**12
    with pytest.raises(StoreError, match=r"about [\d.]+ GB are needed, [\d.]+ GB are free"):
        run([target(tmp_path / "s", encoder)], voices)
    assert encoder.prepared == []


def test_output_of_another_width_than_the_card_is_an_error(tmp_path: Path, voices: list[Recording]) -> None:
    encoder = Means()
    encoder.dim = 3
    with pytest.raises(StoreError, match=r"its card says \(B, T, 3\)"):
        run([target(tmp_path / "s", encoder)], voices)


def test_a_store_of_other_options_is_emptied_and_made_again(tmp_path: Path, voices: list[Recording]) -> None:
    run([target(tmp_path / "s", logmel(mels=20), "logmel", mels=20)], voices, part=(0, 2))
    run([target(tmp_path / "s", logmel(mels=20), "logmel", mels=20)], voices, part=(1, 2))
    report = run([target(tmp_path / "s", logmel(mels=24), "logmel", mels=24)], voices[:20]).targets[0]
    assert report.renewed == "dim was 20, is 24; mels was 20, is 24"
    assert (report.written, report.changed, report.kept) == (20, 0, 0)
    run([target(tmp_path / "fresh", logmel(mels=24), "logmel", mels=24)], voices[:20])
    assert same(content(tmp_path / "s"), content(tmp_path / "fresh"))
    assert files(tmp_path / "s") == files(tmp_path / "fresh")
    assert run([target(tmp_path / "s", logmel(mels=24), "logmel", mels=24)], voices[:20]).targets[0].renewed == ""


def files(folder: Path) -> dict[str, bytes]:
    """What a store consists of, but for locks and its record."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*") if path.name != "provenance.json"}


def test_an_id_twice_and_a_folder_twice_are_refused(tmp_path: Path, voices: list[Recording]) -> None:
    with pytest.raises(DataError, match="the first is u00"):
        run([target(tmp_path / "s", Means())], [*voices, voices[0]])
    with pytest.raises(StoreError, match="folder of its own"):
        run([target(tmp_path / "s", Means()), target(tmp_path / "s", Means())], voices)


@pytest.mark.parametrize("id", ["", "__metadata__", "a\nb", "a\u2028b"])
def test_an_id_that_would_ruin_a_store_is_refused_before_anything_is_written(
    tmp_path: Path, voices: list[Recording], id: str
) -> None:
    odd = Recording(replace(voices[0].utterance, id=id))
    with pytest.raises(DataError, match=r"the id .* cannot be stored"):
        run([target(tmp_path / "s", Means())], [*voices, odd])
    assert not (tmp_path / "s").exists()


def test_progress_gives_rate_and_time_left(tmp_path: Path, voices: list[Recording]) -> None:
    seen: list[Progress] = []
    report = run([target(tmp_path / "s", Means())], voices, max_batch=7, progress=seen.append)
    assert [p.done for p in seen] == [7, 14, 21, 28, 30]
    assert all(p.total == 30 for p in seen)
    total = sum(r.seconds for r in voices)
    assert seen[-1].seconds == pytest.approx(total) == pytest.approx(report.seconds)
    assert seen[-1].seconds_left == pytest.approx(0)
    assert seen[0].seconds_left > 0
    assert seen[0].hours_an_hour > 0


def test_stopping_in_the_middle_keeps_what_is_encoded(tmp_path: Path, voices: list[Recording]) -> None:
    def stop(progress: Progress) -> None:
        if progress.done >= 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([target(tmp_path / "s", Means())], voices, max_batch=7, progress=stop)
    assert len(FeatureStore.open(tmp_path / "s")) == 14


def test_samples_given_by_hand_need_no_file(tmp_path: Path) -> None:
    samples = np.sin(np.arange(8000) / 10).astype(np.float32)
    recording = Recording(Utterance(id="mine", audio="nowhere.wav"), {16_000: samples})
    run([target(tmp_path / "s", logmel())], [recording])
    assert FeatureStore.open(tmp_path / "s").lengths == {"mine": 48}
    assert recording.waveform(16_000) is samples


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision_reaches_the_encoder(tmp_path: Path, voices: list[Recording], precision: Any) -> None:
    class Product(Means):
        def forward(self, inputs: dict[str, Padded]) -> Padded:
            frames = super().forward(inputs)
            product = frames.data @ torch.eye(2)
            dtypes.add(product.dtype)
            return Padded(product, frames.lengths)

    dtypes: set[torch.dtype] = set()
    run([target(tmp_path / "s", Product(), precision=precision)], voices)
    assert dtypes == {getattr(torch, precision)}
    run([target(tmp_path / "mel", logmel(), precision=precision)], voices)
    run([target(tmp_path / "full", logmel())], voices)
    assert same(content(tmp_path / "mel"), content(tmp_path / "full"))  # log-mels are never computed in half


@pytest.mark.parametrize("kind", ["stereo", "44.1 kHz", "stereo flac at 44.1 kHz", "ogg", "mp3"])
def test_other_channels_rates_and_formats_read_as_mono_16_khz(tmp_path: Path, kind: str) -> None:
    rate = 44_100 if "44.1" in kind else 16_000
    seconds = np.arange(2 * rate) / rate
    low = [0.2 * np.sin(2 * np.pi * f * seconds * (1 + 0.1 * seconds)) for f in (180, 410, 950, 2300)]
    wave = sum(low).astype(np.float32)
    reference = tmp_path / "reference.wav"
    times = np.arange(2 * 16_000) / 16_000
    soundfile.write(
        reference,
        sum(0.2 * np.sin(2 * np.pi * f * times * (1 + 0.1 * times)) for f in (180, 410, 950, 2300)),
        16_000,
        subtype="FLOAT",
    )
    suffix = next((s for s in ("flac", "ogg", "mp3") if s in kind), "wav")
    path = tmp_path / f"other.{suffix}"
    stereo = np.stack([wave * 1.2, wave * 0.8], axis=1)
    soundfile.write(path, stereo if "stereo" in kind else wave, rate)
    recordings = [Recording(Utterance(id=p.stem, audio=str(p))) for p in (reference, path)]
    run([target(tmp_path / "s", logmel(mels=20, normalise="none"))], recordings)
    store = FeatureStore.open(tmp_path / "s")
    frames, other = store["reference"], store["other"]
    assert abs(len(frames) - len(other)) <= (6 if suffix == "mp3" else 0)
    count = min(len(frames), len(other)) - 12
    loud = frames[6:count] > frames[6:count].max() - 6  # bands with sound, away from the ends
    shift = 0.35 if suffix in ("ogg", "mp3") else 0.02  # lossy coding
    assert (frames[6:count] - other[6:count]).abs()[loud].mean() < shift


def test_killed_three_times_and_resumed_gives_what_an_undisturbed_run_gives(
    tmp_path: Path, voices: list[Recording]
) -> None:
    rows = {r.id: r.utterance.audio for r in voices}
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    command = [
        sys.executable,
        str(Path(__file__).parent / "kill_me.py"),
        str(tmp_path / "s"),
        str(tmp_path / "rows.json"),
    ]
    chance = random.Random(4)
    sizes = []
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(2, 4)):
                assert int(process.stdout.readline()) > 0
            time.sleep(chance.uniform(0, 0.08))  # anywhere: between batches, in a shard, between shard and index
            process.kill()
            assert "done" not in process.stdout.read()
        sizes.append(len(FeatureStore.open(tmp_path / "s")))
    assert sizes == sorted(sizes)
    encoder = logmel(mels=20)
    final = target(tmp_path / "s", encoder, "logmel", mels=20)
    report = run([final], voices, max_batch=2)
    assert report.targets[0].kept == sizes[-1] > 0
    run([target(tmp_path / "undisturbed", encoder, "logmel", mels=20)], voices, max_batch=2)
    assert same(content(tmp_path / "s"), content(tmp_path / "undisturbed"))  # bit for bit
    stores = [FeatureStore.open(tmp_path / name) for name in ("s", "undisturbed")]
    assert stores[0].fingerprint == stores[1].fingerprint
    assert len(stores[0]) == 30  # opening raises for an id in two shards
    assert not list((tmp_path / "s").glob(".*.part"))
