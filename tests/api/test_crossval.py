"""Cross-validation: each speaker is tested once, by models that never saw it, however the work was interrupted."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import sertk
from sertk.cards import read_experiment
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import ConfigError, DataError, OutputError, UsageError
from sertk.testing.tiny import write_tiny_corpus
from sertk.why import explain

pytestmark = pytest.mark.filterwarnings("ignore:stage linear")
LINEAR = """
seed = {seed}
standardise = [{names}]
[data]
manifest = "elsewhere.jsonl.gz"
[features]
{features}
[fusion]
use = "concat"
[head]
activation = "none"
[selection]
metric = "uar"
[compute]
threads = 1
[[stage]]
name = "linear"
loss = [{{ use = "cross_entropy" }}]
[stage.solver]
penalty = [0.03, 0.1]
folds = "speakers"
with_dev = true
"""
NETWORK = """
[[stage]]
name = "full"
epochs = 1
sampler = { use = "shuffle", batch_size = 16 }
optimizer = { lr = 3e-3 }
loss = [{ use = "cross_entropy" }]
"""
VOTE = 'fit = "held_out"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "elsewhere.jsonl.gz"\n'
M = "manifest.jsonl.gz"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up corpus with two linear members, as the working folder."""
    monkeypatch.chdir(tmp_path)
    write_tiny_corpus(tmp_path)
    for name, store in (("one", "speech"), ("two", "words")):
        Path(f"{name}.toml").write_text(
            LINEAR.format(seed=1, names=f'"{store}"', features=f'{store} = "features/{store}"')
        )
    Path("vote.toml").write_text(VOTE)
    return tmp_path


WORDS = [
    "crossval",
    "one.toml",
    "two.toml",
    "--manifest",
    M,
    "--folds",
    "3",
    "--combine",
    "vote.toml",
    "--device",
    "cpu",
]


def pooled(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder, "pooled").glob("*.csv"))}


def change(**fields: object) -> None:
    corpus = Manifest.read(Path(M))
    corpus.with_utterances(replace(u, **fields) for u in corpus).write(Path(M))  # type: ignore[arg-type]


def test_every_utterance_is_predicted_once_by_a_model_that_never_saw_its_speaker(place: Path) -> None:
    found = sertk.crossval(["one.toml", "two.toml"], M, "cv", folds=3, combine=["vote.toml"], device="cpu")
    assert [*found.systems] == ["one", "two", "vote"]
    corpus = Manifest.read(found.manifest)
    speaker_of = {u.id: u.speaker for u in corpus}
    assert {u.split for u in corpus} == {"test"}
    for path in found.systems.values():
        assert sorted(Predictions.read(path).ids) == sorted(speaker_of)
    for fold in found.folds:
        tested = {speaker_of[id] for id in Predictions.read(fold.systems["vote"]).ids}
        for model in ("members/one", "ensembles/vote"):
            trained = Checkpoint.load(place / f"cv/fold_{fold.name}" / model).train_ids
            assert not tested & {speaker_of[id] for id in trained}
    assert len(sertk.score([*found.systems.values()], found.manifest, "test", draws=9).scores) == 3


def test_function_verb_and_jobs_give_the_same_bytes_and_then_all_is_up_to_date(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sertk.crossval(["one.toml", "two.toml"], M, "a", folds=3, combine=["vote.toml"], device="cpu")
    assert main([*WORDS, "--into", "b", "--jobs", "2"]) == 0
    assert pooled("a") == pooled("b") != {}
    capsys.readouterr()
    assert main([*WORDS, "--into", "b"]) == 0
    assert capsys.readouterr().out == "up to date  b\n"


def relabel() -> None:
    corpus = Manifest.read(Path(M))
    other = {"Angry": "Happy", "Happy": "Angry"}
    first = next(u for u in corpus if u.emotion in other)
    votes = {other.get(name, name): count for name, count in first.votes.items()}
    changed = replace(first, emotion=other[first.emotion or ""], votes=votes)
    corpus.with_utterances(changed if u.id == first.id else u for u in corpus).write(Path(M))


CHANGES = {
    # what is changed: how, and what runs again
    "nothing": (lambda words: words, set()),
    "labels": (lambda words: relabel() or words, {"one", "two", "vote"}),
    "option of a member": (lambda words: edit("one.toml", "[0.03, 0.1]", "[0.3]") or words, {"one", "vote"}),
    "option of a combination": (lambda words: edit("vote.toml", '"soft_vote"', '"vote"') or words, {"vote"}),
    "value by --set": (lambda words: [*words, "--set", "selection.metric=macro_f1"], {"one", "two", "vote"}),
    "held-out part": (lambda words: [*words, "--dev", "0.3"], {"one", "two", "vote"}),
    "jobs": (lambda words: [*words, "--jobs", "2"], set()),
}


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


QUICK = ("option of a member",)


@pytest.mark.parametrize(
    "change", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in CHANGES]
)
def test_a_changed_input_runs_again_what_reads_it_and_nothing_else(
    place: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    how, expected = CHANGES[change]
    assert main([*WORDS, "--into", "cv"]) == 0
    cards = [*Path("cv").glob("fold_*/members/*/card.json"), *Path("cv").glob("fold_*/ensembles/*/card.json")]
    before = {path: path.stat().st_mtime_ns for path in cards}
    capsys.readouterr()
    assert main([*how([*WORDS, "--into", "cv"])]) == 0
    assert {path.parent.name for path, time in before.items() if path.stat().st_mtime_ns != time} == expected
    assert (capsys.readouterr().out == "up to date  cv\n") == (not expected)
    assert not explain(Path("cv")).differs or change in ("value by --set", "held-out part")
    assert not explain(Path("cv/pooled/vote.csv")).differs


@pytest.mark.slow
def test_killed_ten_times_and_run_again_it_gives_the_same_predictions(place: Path) -> None:
    assert main([*WORDS, "--into", "whole"]) == 0
    rng, killed, longest = random.Random(1), 0, 4.0
    while killed < 10:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("sertk"), *WORDS, "--into", "cv"], stdout=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3 * longest, longest))
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            killed += 1
        else:  # it was done before: again, and killed earlier
            shutil.rmtree("cv")
            longest *= 0.8
    assert main([*WORDS, "--into", "cv"]) == 0
    assert pooled("cv") == pooled("whole")


def test_folds_of_the_manifest_are_taken_and_utterances_without_one_are_counted(place: Path) -> None:
    corpus = Manifest.read(Path(M))
    fold_of = {s: (None, "x2", "x10")[n % 3] for n, s in enumerate(sorted({u.speaker or "" for u in corpus}))}
    corpus.with_utterances(replace(u, fold=fold_of[u.speaker or ""]) for u in corpus).write(Path(M))
    found = sertk.crossval("one.toml", M, "cv", dev=0.2, device="cpu")
    assert [fold.name for fold in found.folds] == ["x2", "x10"]
    assert found.without_fold == sum(fold_of[u.speaker or ""] is None for u in corpus) > 0
    assert found.how == "2 folds as given"


def test_unknown_speakers_are_refused_unless_each_recording_counts_as_one(place: Path) -> None:
    change(speaker=None)
    Path("one.toml").write_text(Path("one.toml").read_text().replace('folds = "speakers"\nwith_dev = true', ""))
    with pytest.raises(
        DataError, match=r"speakers of 90 of 90 utterances are unknown .*the same voice may be trained"
    ):
        sertk.crossval("one.toml", M, "cv", device="cpu")
    found = sertk.crossval("one.toml", M, "cv", folds=3, by_recording=True, device="cpu")
    assert found.how == "3 folds by speaker; 90 unknown speakers, by recording"


def test_what_cannot_be_cross_validated_is_refused_before_any_work(place: Path) -> None:
    with pytest.raises(DataError, match="25 speakers cannot be divided into 26 folds"):
        sertk.crossval("one.toml", M, "cv", folds=26, device="cpu")
    with pytest.raises(UsageError, match="two systems are called 'one'"):
        sertk.crossval(["one.toml", "one.toml"], M, "cv", device="cpu")
    with pytest.raises(UsageError, match=r"no system is called 'three'"):
        sertk.crossval("one.toml", M, "cv2", folds=3, combine=["vote.toml:three"], device="cpu")
    Path("mine").mkdir()
    Path("mine/notes").write_text("mine")
    with pytest.raises(OutputError, match="mine is a folder with notes"):
        sertk.crossval("one.toml", M, "mine", device="cpu")
    assert not Path("cv").exists()


def test_some_folds_come_first_and_the_others_follow(place: Path) -> None:
    call = {"folds": 3, "combine": ["vote.toml"], "device": "cpu"}
    first = sertk.crossval(["one.toml", "two.toml"], M, "cv", only=["2"], jobs=2, **call)  # type: ignore[arg-type]
    corpus = Manifest.read(first.manifest)
    assert corpus.note == "made up; cross-validation, 3 folds by speaker; fold 2 alone"
    assert sorted(Predictions.read(first.systems["vote"]).ids) == sorted(u.id for u in corpus)
    before = Path("cv/fold_2/members/one/card.json").stat().st_mtime_ns
    every = sertk.crossval(["one.toml", "two.toml"], M, "cv", only=["1", "2", "3"], **call)  # type: ignore[arg-type]
    assert Path("cv/fold_2/members/one/card.json").stat().st_mtime_ns == before
    assert len(Manifest.read(every.manifest)) == len(Manifest.read(Path(M)))
    assert sertk.crossval(["one.toml", "two.toml"], M, "cv", **call).up_to_date  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there is no fold '4': the folds are 1, 2, 3"):
        sertk.crossval(["one.toml"], M, "cv", folds=3, only=["4"], device="cpu")


def test_the_note_of_one_test_part_is_not_that_of_all(place: Path) -> None:
    corpus = Manifest.read(Path(M))
    replace(corpus, note="fold 1 of 5; audio-only votes").write(Path(M))
    found = sertk.crossval("one.toml", M, "cv", folds=3, device="cpu")
    assert Manifest.read(found.manifest).note == "audio-only votes; cross-validation, 3 folds by speaker"


def test_a_network_is_run_once_for_all_combinations(place: Path) -> None:
    text = Path("one.toml").read_text()
    Path("net.toml").write_text(text[: text.index("[[stage]]")] + NETWORK)
    sertk.crossval(["one.toml", "net.toml"], M, "cv", folds=3, combine=["vote.toml"], device="cpu")
    assert [path.name for path in sorted(Path("cv/fold_1/posteriors").iterdir())] == ["net"]
    assert read_experiment(Path("cv/fold_1/ensembles/vote")).features["net"].endswith("posteriors/net")
    assert len(Predictions.read(Path("cv/fold_1/predictions/vote.csv"))) > 0


def test_two_folds_need_a_share_to_hold_out(place: Path) -> None:
    with pytest.raises(DataError, match="leaves nothing to train on: choose three or more, or hold out a share"):
        sertk.crossval("one.toml", M, "out", folds=2, device="cpu")


def test_a_fold_that_has_all_of_a_class_is_named(place: Path) -> None:
    corpus = Manifest.read(Path(M))
    moved = []
    for u in corpus:
        rare = u.speaker == "speaker-00"
        others = {name: votes for name, votes in u.votes.items() if name != "Happy"} or {"Angry": 1.0}
        emotion = "Happy" if rare else "Angry" if u.emotion == "Happy" else u.emotion
        moved.append(replace(u, emotion=emotion, votes={"Happy": 5.0} if rare else others))
    corpus.with_utterances(moved).write(Path(M))
    with pytest.raises(DataError, match=r"fold \d: no utterance of its training part is Happy"):
        sertk.crossval("one.toml", M, "cv", folds=3, device="cpu")


def test_a_member_for_another_corpus_is_refused(place: Path) -> None:
    Path("one.toml").write_text(Path("one.toml").read_text().replace("[head]", '[head]\nattributes = ["liking"]'))
    with pytest.raises(ConfigError, match="the corpus has no attribute 'liking'"):
        sertk.crossval("one.toml", M, "cv", folds=3, device="cpu")
