"""Features that another program computed: what is taken, what is refused, and that models score as on own stores."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import sertk
from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.errors import DataError, LeftOutWarning, OutputError, UsageError
from sertk.features.index import read_failures
from sertk.features.remarks import read_remarks
from sertk.features.store import FeatureStore
from sertk.testing.tiny import write_tiny_corpus
from sertk.why import explain

M = "manifest.jsonl.gz"
LINEAR = """
standardise = ["speech"]
features = {{ speech = "{0}" }}
fusion = {{ use = "concat" }}
[data]
manifest = "manifest.jsonl.gz"
[head]
activation = "none"
attributes = ["arousal"]
attribute_output = "linear"
[selection]
metric = "uar"
[compute]
threads = 1
[[stage]]
name = "linear"
loss = [{{ use = "cross_entropy" }}, {{ use = "attribute_mse" }}]
[stage.solver]
penalty = [0.03, 0.1]
folds = "speakers"
with_dev = true
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_corpus(tmp_path)
    return tmp_path


@pytest.fixture
def arrays(place: Path) -> dict[str, Any]:
    """(T, 6) by id, the values of the corpus's own store of speech."""
    store = FeatureStore.open(Path("features/speech"))
    return {id: store[id].numpy().copy() for id in store}


def data_features(source: str, *more: str) -> int:
    return main(["data", "features", "mine", "--from", source, "--manifest", M, "--out", "features/mine", *more])


def same_frames(arrays: dict[str, Any], folder: str = "features/mine") -> bool:
    store = FeatureStore.open(Path(folder))
    return [*store] == sorted(arrays) and all(np.array_equal(store[id].numpy(), arrays[id]) for id in arrays)


@pytest.mark.filterwarnings("ignore:stage linear")
def test_a_linear_model_scores_exactly_as_on_a_store_of_the_same_values(place: Path, arrays: dict[str, Any]) -> None:
    made = sertk.store_features("mine", arrays, manifest=M, out="features/mine", frames_per_second=10.0)
    assert (made.utterances, made.dim, made.lacking, made.unknown) == (90, 6, (), ())
    for name, store in (("own", "features/speech"), ("given", "features/mine")):
        Path(f"{name}.toml").write_text(LINEAR.format(store))
        sertk.train(f"{name}.toml", out=name, device="cpu")
        sertk.predict_corpus(name, M, "development", output=f"{name}.csv", device="cpu")
        sertk.crossval(f"{name}.toml", M, f"cv_{name}", folds=3, device="cpu")
    assert Path("own.csv").read_bytes() == Path("given.csv").read_bytes()
    own, given = (sertk.score(f"{n}.csv", M, "development", draws=9).scores[n] for n in ("own", "given"))
    assert own == given
    assert own.metrics["uar"].value > 0.5
    assert Path("cv_own/pooled/own.csv").read_bytes() == Path("cv_given/pooled/given.csv").read_bytes()


@pytest.mark.filterwarnings("ignore:stage linear")
@pytest.mark.parametrize("more", [[], ["--output", "p.csv"]])
def test_a_recording_is_refused_with_the_name_of_the_features(
    place: Path, arrays: dict[str, Any], more: list[str], capsys: Capture
) -> None:
    sertk.store_features("egemaps", arrays, manifest=M, out="features/mine")
    Path("one.toml").write_text(LINEAR.format("features/mine"))
    sertk.train("one.toml", out="one", device="cpu")
    Path("recording.wav").write_bytes(b"RIFF")
    assert main(["predict", "one", "recording.wav", *more]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "reads the features 'egemaps', which were made outside of sertk" in said
    assert "predict a corpus with --manifest" in said


def write_npz(arrays: dict[str, Any]) -> str:
    np.savez("a.npz", **arrays)
    return "a.npz"


def write_safetensors(arrays: dict[str, Any]) -> str:
    save_file(arrays, "a.safetensors")
    return "a.safetensors"


def write_folder(arrays: dict[str, Any]) -> str:
    for id, array in arrays.items():
        path = Path("arrays", f"{id}.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return "arrays"


@pytest.mark.parametrize("write", [write_npz, write_safetensors, write_folder])
def test_each_source_gives_the_same_store_and_is_then_up_to_date(
    place: Path, arrays: dict[str, Any], write: Any, capsys: Capture
) -> None:
    source = write(arrays)
    assert data_features(source) == 0
    assert capsys.readouterr().out == "wrote  features/mine  90 utterances  6 values per frame\n"
    assert same_frames(arrays)
    assert data_features(source) == 0
    assert capsys.readouterr().out == "up to date  features/mine\n"
    assert explain(Path("features/mine")).up_to_date
    arrays["utt-0000"][0, 0] += 1
    write(arrays)
    assert [change.part for change in explain(Path("features/mine")).changes] == ["arrays"]
    before = FeatureStore.open(Path("features/mine"))
    assert data_features(source) == 0
    after = FeatureStore.open(Path("features/mine"))
    assert same_frames(arrays)
    assert [id for id in after if after.sources[id] != before.sources[id]] == ["utt-0000"]
    shard = Path("features/mine/shard-00000.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert data_features(source) == 0, "what is damaged is made again"
    assert same_frames(arrays)


def test_a_table_and_vectors_are_one_frame_each_in_the_type_asked_for(place: Path, arrays: dict[str, Any]) -> None:
    means = {id: array.astype(np.float64).mean(axis=0) for id, array in arrays.items()}
    rows = [",".join([repr(float(v)) for v in mean] + [id]) for id, mean in means.items()]
    Path("a.csv").write_text("\n".join(["a,b,c,d,e,f,id", *rows]) + "\n")
    assert data_features("a.csv", "--dtype", "float16", "--modality", "text") == 0
    assert same_frames({id: mean[None].astype(np.float16) for id, mean in means.items()})
    card = FeatureStore.open(Path("features/mine")).card
    assert (card.modality, card.dtype, card.encoder) == ("text", "float16", "external")
    assert FeatureStore.open(Path("features/mine"))["utt-0000"].shape == (1, 6)


def test_ids_with_slashes_are_files_in_folders(place: Path, arrays: dict[str, Any]) -> None:
    corpus = Manifest.read(Path(M))
    ids = {u.id: u.id.replace("-", "/") for u in corpus}
    corpus.with_utterances([replace(u, id=ids[u.id]) for u in corpus]).write(Path("slashes.jsonl"))
    source = write_folder({ids[id]: array for id, array in arrays.items()})
    made = sertk.store_features("mine", source, manifest="slashes.jsonl", out="s")
    assert made.utterances == 90
    assert same_frames({ids[id]: array for id, array in arrays.items()}, "s")


def test_what_has_no_partner_is_counted_and_listed(place: Path, arrays: dict[str, Any]) -> None:
    arrays["nobody"] = arrays.pop("utt-0003")
    with pytest.warns(LeftOutWarning) as warned:
        made = sertk.store_features("mine", arrays, manifest=M, out="s")
    assert (made.utterances, made.lacking, made.unknown) == (89, ("utt-0003",), ("nobody",))
    said = [str(each.message) for each in warned]
    assert said[0] == "1 of 90 utterances have no array: listed in s/report.jsonl"
    assert said[1] == "1 of 90 arrays are of no utterance: listed in s/remarks.jsonl"
    assert [*read_failures(Path("s"))] == ["utt-0003"]
    assert read_remarks(Path("s/remarks.jsonl")) == {
        "nobody": "is no utterance of the manifest: its array is not stored"
    }


def bad(arrays: dict[str, Any], array: Any) -> dict[str, Any]:
    return arrays | {"utt-0005": array}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0, 1, np.nan, 3, 4, np.inf]]), "utt-0005: 2 of 6 numbers are NaN or infinite"),
        (np.zeros((2, 5)), r"utt-0005: an array of shape \(2, 5\), .* all need the same width"),
        (np.zeros(6), r"utt-0005: an array of shape \(6,\), .* all need as many dimensions"),
        (np.zeros((1, 2, 6)), r"utt-0005: an array of shape \(1, 2, 6\), needed is \(D,\), or \(T, D\)"),
        (np.zeros((0, 6)), r"utt-0005: an array of shape \(0, 6\)"),
        (np.zeros((2, 6), dtype=np.int64), "utt-0005: numbers of type int64, needed is one of float16"),
        (np.array([["x"] * 6], dtype=object), "utt-0005: numbers of type object"),
        (np.full((1, 6), 1e300), r"utt-0005: 1e\+300 is too large for float32"),
    ],
)
def test_bad_arrays_are_refused_and_nothing_is_written(
    place: Path, arrays: dict[str, Any], array: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        sertk.store_features("mine", bad(arrays, array), manifest=M, out="s")
    assert not Path("s").exists()


CSVS = {
    "name,a\nutt-0000,1\n": "one of them `id`, the others numbers; it has name, a",
    "": "it has nothing",
    "id,a,b\nutt-0000,1\n": "line 2: 2 values, the first line names 3",
    "id,a\nutt-0000,1\nutt-0001,high\n": "line 3: utterance utt-0001, column a: 'high' is no number",
    "id,a\nutt-0000,1\nutt-0000,2\n": "1 ids occur twice, the first is utt-0000",
    "id,a\nother,1\n": "none of its 1 arrays has the id of an utterance: it has other, the manifest utt-0000",
}


@pytest.mark.parametrize("text", CSVS)
def test_bad_tables_are_refused(place: Path, text: str) -> None:
    Path("a.csv").write_text(text)
    with pytest.raises(DataError, match=r"a\.csv: ") as caught:
        sertk.store_features("mine", "a.csv", manifest=M, out="s")
    assert CSVS[text] in str(caught.value)


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.csv", "arrays/utt-0000.npy", "a.npy", "gone.npz"])
def test_damaged_and_other_files_are_refused(place: Path, name: str) -> None:
    Path("arrays").mkdir()
    if name != "gone.npz":
        Path(name).write_bytes(b"\x93NUMPY\xff\x00PK\x03\x04" * 9)
    source = "arrays" if name.startswith("arrays") else name
    with pytest.raises(DataError, match=source):
        sertk.store_features("mine", source, manifest=M, out="s")


@pytest.mark.parametrize(
    "options", [{"modality": "smell"}, {"dtype": "int8"}, {"frames_per_second": -1.0}, {"frames_per_second": np.nan}]
)
def test_options_are_checked(place: Path, arrays: dict[str, Any], options: Any) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(options)).replace('_', '-')}"):
        sertk.store_features("mine", arrays, manifest=M, out="s", **options)


def test_what_another_verb_or_a_person_made_is_never_replaced(place: Path, arrays: dict[str, Any]) -> None:
    Path("thesis").mkdir()
    Path("thesis/one.tex").write_text("mine")
    for out in ("features/speech", "thesis", M, "features"):
        with pytest.raises(OutputError):
            sertk.store_features("mine", arrays, manifest=M, out=out)
    sertk.store_features("mine", arrays, manifest=M, out="into/logmel")
    Path("logmel.toml").write_text('dtype = "float16"\n[encoder]\nuse = "logmel"\nmels = 20\n')
    with pytest.raises(OutputError, match="made by `sertk data features`, not an earlier result of `sertk extract`"):
        sertk.extract("logmel.toml", M, into="into")
    Path("into/logmel/notes.md").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.md"):
        sertk.store_features("mine", arrays, manifest=M, out="into/logmel", dtype="float16")
    shutil.rmtree("into")


def test_changed_ids_and_options_make_it_again_and_arrays_of_python_are_compared(
    place: Path, arrays: dict[str, Any]
) -> None:
    def store(**more: Any) -> bool:
        return sertk.store_features("mine", arrays, manifest=M, out="s", **more).up_to_date

    assert [store(), store(), store(force=True), store(dtype="float16"), store()] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert "given in Python" in explain(Path("s")).problems[0]
    corpus = Manifest.read(Path(M))
    corpus.with_utterances([*corpus][1:]).write(Path(M))
    with pytest.warns(LeftOutWarning, match="1 of 90 arrays are of no utterance"):
        assert not store()
    assert len(FeatureStore.open(Path("s"))) == 89
