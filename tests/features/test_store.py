from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sertk.errors import BusyError, StoreError
from sertk.features.card import read_card
from sertk.features.index import read_failures, read_shards
from sertk.features.store import FeatureStore, StoreCard, StoreWriter
from sertk.tensors import Padded

CARD = StoreCard("logmel", {"mels": 8}, "f00d", "speech", 8, 100.0, "float32")


def frames_of(count: int, seed: int = 0, dim: int = 8) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def write(folder: Path, ids: list[str], card: StoreCard = CARD, **options: object) -> dict[str, torch.Tensor]:
    content = {key: frames_of(3 + number, number, card.dim) for number, key in enumerate(ids)}
    with StoreWriter(folder, card, **options) as writer:  # type: ignore[arg-type]
        for key, frames in content.items():
            writer.add(key, frames, f"source of {key}")
    return content


def test_what_was_written_is_read_back_by_id(tmp_path: Path) -> None:
    content = write(tmp_path / "s", ["b", "a", "ü/1"], shard_bytes=1)
    store = FeatureStore.open(tmp_path / "s")
    assert list(store) == ["a", "b", "ü/1"]
    assert len(store) == 3
    assert "b" in store
    assert "c" not in store
    assert store.dim == 8
    assert store.card == CARD
    assert store.lengths == {"b": 3, "a": 4, "ü/1": 5}
    assert all(torch.equal(store[key], frames) for key, frames in content.items())
    assert len(list((tmp_path / "s").glob("shard-*.safetensors"))) == 3
    store.verify()


@pytest.mark.parametrize(("dtype", "relative"), [("float32", 0), ("float16", 2**-11), ("bfloat16", 2**-8)])
def test_floats_are_stored_to_their_precision(tmp_path: Path, dtype: str, relative: float) -> None:
    content = write(tmp_path / "s", ["a"], replace(CARD, dtype=dtype))
    read = FeatureStore.open(tmp_path / "s")["a"]
    assert read.dtype == getattr(torch, dtype)
    assert torch.allclose(read.float(), content["a"], rtol=relative, atol=1e-7)


def test_int8_with_a_scale_a_frame_keeps_frames_to_one_percent(tmp_path: Path) -> None:
    card = replace(CARD, dtype="int8", dim=768)
    loudness = torch.logspace(-3, 3, 200)[:, None]  # frames of very unequal size
    frames = frames_of(200, 1, 768) * loudness
    frames[17] = 0
    with StoreWriter(tmp_path / "s", card) as writer:
        writer.add("a", frames, "source of a")
    store = FeatureStore.open(tmp_path / "s")
    read = store["a"]
    assert read.dtype == torch.float32
    assert read[17].abs().max() == 0
    assert ((read - frames).abs() <= frames.abs().amax(1, keepdim=True) / 254 * 1.001).all()
    error = (read - frames).norm(dim=1) / frames.norm(dim=1).clamp_min(1e-12)
    assert error.max() < 0.012
    assert 0.005 < error.mean() < 0.01  # not exact, or it would not be int8
    assert store.lengths == {"a": 200}


def test_a_change_of_a_view_in_place_raises_and_never_reaches_the_file(tmp_path: Path) -> None:
    content = write(tmp_path / "s", ["a", "b"])
    store = FeatureStore.open(tmp_path / "s")
    copy = store["a"].clone().zero_()
    assert copy.abs().sum() == 0
    assert torch.equal(store["a"], content["a"])
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        store["a"].mul_(0)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        store["b"][:2] = 0
    again = FeatureStore.open(tmp_path / "s")
    assert all(torch.equal(again[key], frames) for key, frames in content.items())
    again.verify()


def test_a_model_trains_on_a_copy_of_a_view(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a", "b"])
    store = FeatureStore.open(tmp_path / "s")
    layer = torch.nn.Linear(8, 1)
    layer(Padded.of([store["a"], store["b"]]).data).sum().backward()
    assert layer.weight.grad is not None
    with pytest.raises(RuntimeError, match="clone"):
        layer(store["a"])


def test_what_the_caller_changes_after_add_is_not_stored(tmp_path: Path) -> None:
    frames = frames_of(5)
    wanted = frames.clone()
    with StoreWriter(tmp_path / "s", CARD) as writer:
        writer.add("a", frames, "source of a")
        frames.zero_()
    assert torch.equal(FeatureStore.open(tmp_path / "s")["a"], wanted)


def test_a_store_travels_to_another_process_by_pickle(tmp_path: Path) -> None:
    content = write(tmp_path / "s", ["a"])
    store = FeatureStore.open(tmp_path / "s")
    assert torch.equal(store["a"], content["a"])  # has an open map now
    again = pickle.loads(pickle.dumps(store))
    assert torch.equal(again["a"], content["a"])
    assert again == store


def test_an_unknown_id_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "s", ["MSP-1_0001"])
    with pytest.raises(StoreError, match=r"no utterance 'MSP-1_0002'. Did you mean 'MSP-1_0001'"):
        FeatureStore.open(tmp_path / "s")["MSP-1_0002"]


def test_fingerprint_depends_on_content_not_on_shards_or_order(tmp_path: Path) -> None:
    write(tmp_path / "one", ["a", "b", "c"])
    with StoreWriter(tmp_path / "two", CARD, shard_bytes=1) as writer:
        for key, count in (("c", 5), ("a", 3)):
            writer.add(key, frames_of(count), f"source of {key}")
    with StoreWriter(tmp_path / "two", CARD, part=(1, 4)) as writer:
        writer.add("b", frames_of(4), "source of b")
    write(tmp_path / "less", ["a", "b"])
    write(tmp_path / "other", ["a", "b", "c"], replace(CARD, fingerprint="beef"))
    one, two, less, other = (FeatureStore.open(tmp_path / n).fingerprint for n in ("one", "two", "less", "other"))
    assert one == two
    assert len({one, less, other}) == 3


def test_going_on_adds_to_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a", "b"])
    with StoreWriter(tmp_path / "s", CARD) as writer:
        assert writer.done == {"a", "b"}
        writer.add("c", frames_of(2), "source of c")
    assert list(FeatureStore.open(tmp_path / "s")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "beef"}, "fingerprint was f00d, is beef"),
        ({"options": {"mels": 9}}, "mels was 8, is 9"),
        ({"dim": 9}, "dim was 8, is 9"),
        ({"dtype": "float16"}, "dtype was float32, is float16"),
        ({"precision": "bfloat16"}, "precision was float32, is bfloat16"),
        ({"encoder": "wavlm"}, "encoder was logmel, is wavlm"),
        ({"versions": {"component encoder logmel": "sertk revision 2"}}, "encoder logmel was not given, is sertk"),
    ],
)
def test_a_store_of_another_encoder_is_refused_naming_both(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    write(tmp_path / "s", ["a"])
    before = sorted(path.name for path in (tmp_path / "s").iterdir())
    wanted = replace(CARD, **change)
    with pytest.raises(StoreError) as caught, StoreWriter(tmp_path / "s", wanted):
        pass
    assert said in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == before


def test_a_tuple_among_options_is_the_list_that_json_makes_of_it(tmp_path: Path) -> None:
    card = replace(CARD, options={"sizes": (3, 5)})
    write(tmp_path / "s", ["a"], card)
    with StoreWriter(tmp_path / "s", card) as writer:
        assert writer.done == {"a"}


def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    with (
        pytest.raises(StoreError, match="has utterance a already"),
        StoreWriter(tmp_path / "s", CARD) as writer,
    ):
        writer.add("a", frames_of(2), "source of a")


@pytest.mark.parametrize(
    "frames", [torch.zeros(0, 8), torch.zeros(3, 7), torch.zeros(8), torch.full((2, 8), torch.nan)]
)
def test_frames_of_a_wrong_shape_or_not_finite_are_refused(tmp_path: Path, frames: torch.Tensor) -> None:
    with pytest.raises(StoreError, match="utterance a:"), StoreWriter(tmp_path / "s", CARD) as writer:
        writer.add("a", frames, "source of a")


def test_values_too_large_for_the_dtype_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="infinite once stored as float16"),
        StoreWriter(tmp_path / "s", replace(CARD, dtype="float16")) as writer,
    ):
        writer.add("a", torch.full((2, 8), 1e5), "source of a")


def test_two_writers_of_one_store_exclude_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with StoreWriter(folder, CARD):
        for part in ((0, 1), (1, 2)):
            with pytest.raises(BusyError, match="another process is at work"), StoreWriter(folder, CARD, part=part):
                pass
    with StoreWriter(folder, CARD, part=(0, 2)):
        for part in ((0, 1), (0, 2), (1, 3)):
            with pytest.raises(BusyError, match="another process is at work"), StoreWriter(folder, CARD, part=part):
                pass
        with StoreWriter(folder, CARD, part=(1, 2)):
            pass
    write(folder, ["a"])


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from sertk.features.store import StoreCard, StoreWriter
card = StoreCard("logmel", {{"mels": 8}}, "f00d", "speech", 8, 100.0, "float32")
with StoreWriter(Path({str(tmp_path / "s")!r}), card):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match="another process"), StoreWriter(tmp_path / "s", CARD):
            pass
        process.kill()
    write(tmp_path / "s", ["a"])


def test_parts_are_numbered_from_zero(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="parts are numbered from 0 to 1"):
        StoreWriter(tmp_path / "s", CARD, part=(2, 2))


def test_what_a_killed_run_left_is_swept_by_whoever_owns_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, ["a"])
    mine = [
        "shard-1of2-00000.safetensors",
        ".shard-1of2-00000.safetensors.host-4242.part",
        ".index-1of2.json.h-7.part",
    ]
    others = [
        "shard-0of2-00000.safetensors",
        ".index-0of2.json.h-7.part",
        ".index.json.h-7.part",
        "shard-00001.safetensors",
    ]
    kept = [
        "notes.txt",
        "shard-one.safetensors",
        ".index.json.part",
        ".index.json.edited.h-7.part",
        "x.index.json.h-7.part",
    ]
    for name in (*mine, *others, *kept):
        (folder / name).write_bytes(b"half")
    assert list(FeatureStore.open(folder)) == ["a"]
    write(folder, ["b"], part=(1, 2))
    assert not [name for name in mine[1:] if (folder / name).exists()]
    assert all((folder / name).exists() for name in (*others, *kept))  # another part may be at work on the first
    write(folder, ["c"])
    assert list(FeatureStore.open(folder)) == ["a", "b", "c"]
    assert not [name for name in (*others, *mine[1:]) if (folder / name).exists() and name not in listed(folder)]
    assert all((folder / name).exists() for name in kept)


def listed(folder: Path) -> set[str]:
    return {shard.file for shard in read_shards(folder)}


def test_a_full_disk_is_said_and_leaves_what_was_whole(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    code = f"""
import resource, signal
from pathlib import Path
import torch
from sertk.errors import BusyError, StoreError
from sertk.features.store import StoreCard, StoreWriter
card = StoreCard("logmel", {{"mels": 8}}, "f00d", "speech", 8, 100.0, "float32")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with StoreWriter(Path({str(tmp_path / "s")!r}), card) as writer:
        writer.add("b", torch.ones(10_000, 8), "source of b")
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot write the store" in done.stdout
    assert "extract again to go on" in done.stdout
    assert list(FeatureStore.open(tmp_path / "s")) == ["a"]
    assert not list((tmp_path / "s").glob(".*.part"))
    write(tmp_path / "s", ["b"])


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write the store"), StoreWriter(tmp_path / "file" / "s", CARD):
        pass


def test_verify_names_the_damaged_shard(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, ["a", "b", "c"], shard_bytes=1)
    shard = folder / "shard-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-5] ^= 0x40
    shard.write_bytes(content)
    store = FeatureStore.open(folder)
    with pytest.raises(StoreError, match=r"damaged, by their hashes: shard-00001.safetensors\."):
        store.verify()


@pytest.mark.parametrize("damage", ["cut", "header", "missing", "replaced"])
def test_a_damaged_shard_is_named_on_opening(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "s"
    write(folder, ["a", "b"], shard_bytes=1)
    shard = folder / "shard-00001.safetensors"
    content = shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(content[:-10])
    elif damage == "header":
        shard.write_bytes(b"\xff" * len(content))
    elif damage == "missing":
        shard.unlink()
    else:
        save_file({"a": frames_of(4), "b": frames_of(4)}, shard)
        index = json.loads((folder / "index.json").read_text())
        index["shards"][1]["bytes"] = shard.stat().st_size
        (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(StoreError, match="shard-00001"):
        FeatureStore.open(folder)
    with pytest.raises(StoreError, match="shard-00001"), StoreWriter(folder, CARD):
        pass


@pytest.mark.parametrize("name", ["card.json", "index.json"])
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.99))
def test_a_truncated_card_or_index_is_a_store_error_wherever_cut(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: float
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "s"
    write(folder, ["a"])
    content = (folder / name).read_bytes().rstrip()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(StoreError, match=name):
        FeatureStore.open(folder)
    with pytest.raises(StoreError, match=name), StoreWriter(folder, CARD):
        pass


def test_a_folder_without_card_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a feature store"):
        FeatureStore.open(tmp_path)


def test_an_id_in_two_shards_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write(folder, ["a"])
    write(tmp_path / "t", ["a"], part=(0, 2))
    for path in (tmp_path / "t").glob("*of2*"):
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StoreError, match=r"utterance a is in shard-00000.* and in shard-0of2-00000"):
        FeatureStore.open(folder)


def test_a_report_counts_as_done_and_is_cleared_by_success(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with StoreWriter(folder, CARD) as writer:
        writer.add("a", frames_of(2), "source of a")
        writer.fail("b", "b.wav", "b.wav: silent", "source of b")
    assert json.loads((folder / "report.jsonl").read_text()) == {
        "id": "b",
        "audio": "b.wav",
        "message": "b.wav: silent",
        "source": "source of b",
    }
    with StoreWriter(folder, CARD) as writer:
        assert set(writer.failures) == {"b"}
        writer.add("b", frames_of(2), "source of b")
    assert (folder / "report.jsonl").read_text() == ""


def test_a_damaged_report_is_a_store_error(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    (tmp_path / "s" / "report.jsonl").write_text('{"id": "b", "aud')
    with pytest.raises(StoreError, match=r"report\.jsonl is damaged"):
        read_failures(tmp_path / "s")


def test_what_a_store_holds_is_read_without_torch(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a"])
    code = f"""
import sys
from pathlib import Path
from sertk.features.card import read_card
from sertk.features.index import read_contents
folder = Path({str(tmp_path / "s")!r})
assert read_contents(folder, read_card(folder)).places["a"].source == "source of a"
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thirty_thousand_utterances_open_quickly(tmp_path: Path) -> None:
    card = replace(CARD, dim=1, dtype="float16")
    with StoreWriter(tmp_path / "s", card) as writer:
        for start in range(0, 30_000, 10_000):
            ids = [f"MSP-PODCAST_{n:06d}" for n in range(start, start + 10_000)]
            writer.add_batch({id: torch.zeros(1, 1) for id in ids}, dict.fromkeys(ids, "0" * 32))
            writer.flush()
    began = time.process_time()
    store = FeatureStore.open(tmp_path / "s")
    spent = time.process_time() - began
    assert len(store) == 30_000
    assert spent < 2, f"{spent:.2f} s"


def test_cards_round_trip_for_any_options(tmp_path: Path) -> None:
    card = replace(CARD, options={"layers": [1, 2], "name": "ü", "share": 0.1, "none": None})
    write(tmp_path / "s", ["a"], card)
    assert read_card(tmp_path / "s") == card


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_a_padded_read_equals_the_utterances_one_by_one(tmp_path: Path, dtype: str) -> None:
    write(tmp_path / "s", ["a", "b", "ü/1", "d"], replace(CARD, dtype=dtype), shard_bytes=1)
    store = FeatureStore.open(tmp_path / "s")
    ids = ["d", "a", "ü/1", "a"]
    padded = store.padded(ids)
    alone = Padded.of([store[key] for key in ids])
    assert padded.data.dtype == alone.data.dtype
    assert torch.equal(padded.data, alone.data)  # zeros behind the ends too
    assert torch.equal(padded.lengths, alone.lengths)
    padded.data.fill_(7)  # the caller's own
    assert torch.equal(store.padded(ids).data, alone.data)
    with pytest.raises(StoreError, match="no utterance 'c'"):
        store.padded(["a", "c"])


def test_a_padded_read_of_a_shard_cut_short_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s", ["a", "b"])
    store = FeatureStore.open(tmp_path / "s")
    (shard,) = (tmp_path / "s").glob("shard-*.safetensors")
    with open(shard, "r+b") as file:
        file.truncate(shard.stat().st_size - 4)
    with pytest.raises(StoreError, match=rf"{shard.name} is damaged: it ends before"):
        store.padded(["a", "b"])
