from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.data.ids import id_fault
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError

EIGHT = LabelSet(("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN")

RANGES = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0)}


def manifest(*utterances: Utterance) -> Manifest:
    return Manifest("corpus", EIGHT, RANGES, utterances, note="made up")


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
maybe_text = st.none() | text
name = text.filter(lambda text: id_fault(text) is None)
utterances = st.builds(
    Utterance,
    id=name,
    audio=text,
    start=number,
    duration=st.none() | number,
    sample_rate=st.none() | st.integers(1, 10**6),
    speaker=st.none() | name,
    gender=maybe_text,
    language=maybe_text,
    split=st.none() | name,
    text=maybe_text,
    text_source=maybe_text,
    votes=st.dictionaries(text, number, max_size=3),
    raters=st.lists(st.dictionaries(text, text | st.integers(-9, 9), max_size=2), max_size=2).map(tuple),
    emotion=maybe_text,
    attributes=st.dictionaries(text, number, max_size=3),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(utterances, max_size=4), st.sampled_from(["m.jsonl", "m.jsonl.gz"]))
def test_any_manifest_round_trips(tmp_path_factory: pytest.TempPathFactory, rows: list[Utterance], name: str) -> None:
    path = tmp_path_factory.mktemp("m") / name
    wanted = manifest(*rows)
    wanted.write(path)
    read = Manifest.read(path)
    assert read.utterances == wanted.utterances
    assert replace(read, folder=Path()) == wanted
    assert read.fingerprint == wanted.fingerprint


UNFIT = [
    "",
    "  ",
    "__metadata__",
    "a\nb",
    "a\r",
    "a\u2028b",
    "a\u2029",
    "a\x85b",
    "a\x1cb",
    "\x0b",
    "a\x1b[2J",
    "a\x00",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(name, min_size=1, max_size=5, unique=True))
def test_ids_that_are_fit_survive_a_list_with_one_id_on_each_line(ids: list[str]) -> None:
    assert "\n".join(ids).splitlines() == ids


@pytest.mark.parametrize("id", [*UNFIT, "a\udce9", "\ud800"])
def test_an_id_that_would_break_files_is_no_id(id: str) -> None:
    assert id_fault(id)
    assert not set(id_fault(id) or "") & set("\n\r\u2028\x1b\udce9")
    with pytest.raises(DataError, match="utterance"):
        manifest(Utterance(id=id, audio="a.wav")).write(Path("never.jsonl"))


@pytest.mark.parametrize("id", ["a", "folder/a b.wav", "é", "日本", "__metadata", "a\u200db", "-", "0"])
def test_ids_of_any_language_are_fit(id: str) -> None:
    assert id_fault(id) is None


@pytest.mark.parametrize("field", ["id", "speaker", "split"])
@pytest.mark.parametrize("name", UNFIT)
def test_a_manifest_with_a_name_that_would_break_files_is_refused_naming_the_line(
    tmp_path: Path, field: str, name: str
) -> None:
    path = tmp_path / "m.jsonl"
    manifest(Utterance(id="a", audio="a.wav"), Utterance(id="b", audio="b.wav", speaker="s", split="train")).write(
        path
    )
    header, first, second = path.read_text().splitlines()
    row = json.loads(second) | {field: name}
    path.write_text("\n".join([header, first, json.dumps(row)]))
    if field != "id" and name == "__metadata__":
        assert getattr(Manifest.read(path).utterances[1], field) == name
        return
    with pytest.raises(DataError, match=rf"line 3: the {field} .*`sertk data fix` drops"):
        Manifest.read(path)
    assert getattr(Manifest.read(path, any_names=True).utterances[1], field) == name


@pytest.mark.parametrize("where", ["labels", "attributes"])
def test_a_header_with_a_name_that_would_break_files_is_refused(tmp_path: Path, where: str) -> None:
    path = tmp_path / "m.jsonl"
    manifest().write(path)
    path.write_text(path.read_text().replace('"Sad"' if where == "labels" else '"arousal"', r'"S\u001b[2Jd"'))
    with pytest.raises(DataError, match=r"line 1: the (class|attribute) 'S\\x1b\[2Jd' has a line break or control"):
        Manifest.read(path)


def test_text_that_is_no_utf_8_is_refused_both_ways(tmp_path: Path) -> None:
    for broken in (Utterance(id="a", audio="\udce9.wav"), Utterance(id="a", audio="a.wav", text="\ud800")):
        with pytest.raises(DataError, match="not UTF-8"):
            manifest(broken).write(tmp_path / "m.jsonl")
    assert list(tmp_path.iterdir()) == []
    manifest(Utterance(id="a", audio="b.wav")).write(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text((tmp_path / "m.jsonl").read_text().replace("b.wav", r"\udce9"))
    with pytest.raises(DataError, match="line 2"):
        Manifest.read(tmp_path / "m.jsonl")


def test_the_same_content_gives_the_same_bytes_and_fingerprint(tmp_path: Path) -> None:
    one = manifest(Utterance(id="a", audio="a.wav", votes={"Sad": 2}))
    two = manifest(Utterance(id="a", audio="a.wav", votes={"Sad": 2.0}))
    for name, content in (("1.jsonl.gz", one), ("2.jsonl.gz", two)):
        content.write(tmp_path / name)
    assert (tmp_path / "1.jsonl.gz").read_bytes() == (tmp_path / "2.jsonl.gz").read_bytes()
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != manifest(Utterance(id="a", audio="a.wav", votes={"Sad": 3})).fingerprint


def test_audio_is_found_beside_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "m.jsonl"
    manifest(Utterance(id="a", audio="audio/a.wav"), Utterance(id="b", audio="/abs/b.wav")).write(path)
    assert [u.audio for u in Manifest.read(path).located()] == [str(tmp_path / "deep/audio/a.wav"), "/abs/b.wav"]


def in_a_corpus(folder: Path) -> Manifest:
    (folder / "corpus").mkdir(parents=True)
    utterances = tuple(Utterance(id=n, audio=str(folder / "corpus" / "wav" / f"{n}.wav")) for n in ("a", "b"))
    return Manifest("made-up", LabelSet(("Sad", "Happy")), {}, utterances)


def test_a_corpus_and_its_manifest_can_be_moved_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    whole = in_a_corpus(here)
    monkeypatch.chdir(here)
    whole.based_in(Path("corpus")).write(Path("data/m.jsonl.gz"))
    monkeypatch.chdir(tmp_path)
    here.rename(there)
    moved = Manifest.read(there / "data/m.jsonl.gz")
    assert [u.audio for u in moved.located()] == [str(there / f"corpus/wav/{n}.wav") for n in ("a", "b")]
    assert [u.audio for u in moved] == ["wav/a.wav", "wav/b.wav"]


def test_a_corpus_that_is_named_by_an_absolute_path_stays_where_it_is(tmp_path: Path) -> None:
    whole = in_a_corpus(tmp_path)
    whole.based_in(tmp_path / "corpus").write(tmp_path / "data/m.jsonl")
    (tmp_path / "data").rename(tmp_path / "moved")
    again = Manifest.read(tmp_path / "moved/m.jsonl")
    assert again.located() == whole.utterances
    again.write(tmp_path / "deeper/still/m.jsonl")
    assert Manifest.read(tmp_path / "deeper/still/m.jsonl").located() == whole.utterances


@pytest.mark.parametrize("place", ["m.jsonl", "data/m.jsonl", "corpus/m.jsonl", "corpus/wav/m.jsonl"])
def test_a_manifest_finds_its_recordings_wherever_it_is_written(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = in_a_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    whole.based_in(Path("corpus")).write(Path("first/m.jsonl"))
    first = Manifest.read(Path("first/m.jsonl"))
    first.write(Path(place))
    again = Manifest.read(Path(place))
    assert again.located() == whole.utterances
    assert again.fingerprint == first.fingerprint


def test_a_recording_outside_of_the_corpus_keeps_its_absolute_path(tmp_path: Path) -> None:
    whole = in_a_corpus(tmp_path)
    other = Utterance(id="c", audio=str(tmp_path / "other" / "c.wav"))
    based = whole.with_utterances([*whole, other]).based_in(tmp_path / "corpus")
    assert [u.audio for u in based] == ["wav/a.wav", "wav/b.wav", other.audio]


def test_audio_that_climbs_out_is_refused() -> None:
    made = manifest(Utterance(id="a", audio="../../etc/passwd"))
    with pytest.raises(DataError, match=r"utterance a: .* leaves"):
        made.located()


def test_a_split_without_utterances_is_named() -> None:
    made = manifest(Utterance(id="a", audio="a", split="train"), Utterance(id="b", audio="b", split="dev"))
    assert [u.id for u in made.split("dev")] == ["b"]
    assert len(made.split("train", "dev")) == 2
    with pytest.raises(
        DataError, match=r"no utterance is in split 'tran'. Did you mean 'train'\? Splits: dev, train"
    ):
        made.split("tran")


HEADER = '{"sertk_manifest": 1, "corpus": "c", "labels": ["Sad", "Happy"], "letters": "", "attributes": {}}'
GOOD = '{"id": "a", "audio": "a.wav"}'


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ([HEADER, GOOD, '{"id": "b", "aud'], "line 3"),
        ([HEADER, GOOD, ""], "line 3"),
        ([HEADER, '{"id": "b"}'], "line 2: audio: Field required"),
        ([HEADER, '{"id": 7, "audio": "a.wav"}'], "line 2: id: Input should be a valid string"),
        ([HEADER, '{"id": "b", "audio": "b", "start": "0.5"}'], "line 2: start: Input should be a valid number"),
        ([HEADER, '{"id": "b", "audio": "b", "votes": ["Sad"]}'], "line 2: votes"),
        ([HEADER, '{"id": "b", "audio": "b", "attributes": {"valence": null}}'], "line 2: attributes.valence"),
        ([HEADER, '{"id": "b", "audio": "b", "emotions": "Sad"}'], "line 2: emotions: Unexpected"),
        ([HEADER, "[]"], "line 2"),
        ([GOOD], "line 1"),
        ([HEADER.replace('"Happy"', '"Sad"')], "line 1: a label set needs"),
        ([HEADER.replace("{}", '{"valence": [7, 1]}')], "line 1: the range of 'valence' is 7 to 1"),
        ([HEADER.replace(": 1", ": 2", 1)], "line 1: sertk_manifest"),
        ([], "is empty"),
    ],
)
def test_a_broken_line_is_named_with_file_and_place(tmp_path: Path, lines: list[str], place: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(DataError) as caught:
        Manifest.read(path)
    assert str(path) in str(caught.value)
    assert place in str(caught.value)


def test_a_missing_manifest_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no manifest"):
        Manifest.read(tmp_path / "m.jsonl")
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "m.jsonl.gz"
    manifest(*(Utterance(id=f"u{n}", audio=f"{n * 7919 % 1000}.wav") for n in range(300))).write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"m\.jsonl\.gz"):
        Manifest.read(path)


@pytest.mark.parametrize(
    "content", [b"no archive", gzip.compress(b"\xff\xfe\x00", mtime=0), gzip.compress(b"", mtime=0)]
)
def test_what_is_no_archive_or_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"m\.jsonl\.gz"):
        Manifest.read(path)


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    manifest(Utterance(id="a", audio="a.wav")).write(path)
    broken = Utterance(id="b", audio="b.wav", raters=({"who": object()},))
    with pytest.raises(TypeError):
        manifest(broken).write(path)
    assert [u.id for u in Manifest.read(path)] == ["a"]
    assert list(tmp_path.iterdir()) == [path]
