"""Label maps: what is read of them, and what they do to labels and votes."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

import sertk
from sertk.cli import main
from sertk.data.label_map import read_label_map, shipped_maps
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.mapping import map_labels
from sertk.errors import DataError, LabelError

MAP = """
left_out = ["boredom"]
[labels]
Angry = ["anger", "Wut", "frustration"]
Happy = ["joy"]
"""


def corpus(*utterances: Utterance, names: tuple[str, ...] = ("anger", "frustration", "Joy", "Boredom")) -> Manifest:
    return Manifest("mine", LabelSet(names), {}, utterances)


def labelled(id: str, emotion: str | None, **votes: float) -> Utterance:
    return Utterance(id, f"{id}.wav", emotion=emotion, votes=votes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(MAP, encoding="utf-8")
    return tmp_path / "mine.toml"


def test_names_are_known_in_any_case_and_with_any_separators(path: Path) -> None:
    path.write_text(MAP.replace('"joy"', '"pleasant surprise"'))
    found = read_label_map(path)
    names = ("WUT", "Angry", "Pleasant_Surprise", "pleasant-surprise", "BOREDOM")
    assert [found[one] for one in names] == ["Angry", "Angry", "Happy", "Happy", None]
    assert found.labels.names == ("Angry", "Happy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MAP.replace('"joy"', '"joy", "ANGER"'), "'ANGER' is in Angry and in Happy: name each class once"),
        (MAP.replace('"joy"', '"joy", "boredom"'), "'boredom' is in Happy and in left_out"),
        (MAP.replace('"joy"', '"joy", "Joy"'), "'Joy' is in Happy: name each class once"),
        (MAP + 'Joy = ["fun"]', "'joy' is in Happy and in Joy|'Joy' is in Happy and in Joy"),
        (MAP + "Angry = []", "cannot be read as TOML"),
        ("labels = ['Angry']", "labels: .* table `labels`"),
        (MAP.replace("left_out", "leftout"), "leftout: Unexpected keyword"),
        ("others = 'keep'" + MAP, "others: Input should be 'error' or 'drop'"),
        ("[labels]\nAngry = []", "two or more distinct names"),
        ('letters = "AAB"' + MAP, "as many distinct letters"),
        (MAP.replace("Happy", "Other"), "'Other' is the vote outside"),
    ],
)
def test_a_file_that_is_no_map_is_refused_with_what_is_wrong(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        read_label_map(path)
    assert "mine.toml" in str(raised.value)


def test_an_unknown_map_lists_those_that_are_shipped() -> None:
    with pytest.raises(DataError, match=r"no label map fuor\. Did you mean 'four'\? Give one of eight, four, six"):
        read_label_map("fuor")


def test_shipped_maps_have_the_usual_classes_and_agree_with_each_other() -> None:
    maps = {name: read_label_map(name) for name in shipped_maps()}
    assert maps["four"].labels.names == ("Angry", "Happy", "Neutral", "Sad")
    assert {*maps["six"].labels.names} == {*maps["four"].labels.names, "Disgust", "Fear"}
    assert {*maps["eight"].labels.names} == {*maps["six"].labels.names, "Surprise", "Contempt"}
    for one, other in combinations(maps.values(), 2):
        assert one.becomes.keys() == other.becomes.keys()
        for name, label in one.becomes.items():
            assert None in (label, other.becomes[name]) or label == other.becomes[name], name


def test_labels_and_votes_are_mapped(path: Path) -> None:
    given = corpus(labelled("a", "Joy", Joy=3, anger=1, Boredom=1), labelled("b", None), labelled("c", "anger"))
    mapped, report = map_labels(given, read_label_map(path))
    assert [u.emotion for u in mapped] == ["Happy", None, "Angry"]
    assert mapped.utterances[0].votes == {"Angry": 1, "Happy": 3, "Other": 1}
    assert [(c.name, c.becomes, c.utterances, c.votes) for c in report.classes] == [
        ("anger", "Angry", 1, 1),
        ("frustration", "Angry", 0, 0),
        ("Joy", "Happy", 1, 3),
        ("Boredom", None, 0, 1),
    ]
    assert report.remarks() == ["merged into Angry: anger, frustration"]
    assert mapped.note == "classes by the map mine"


@pytest.mark.parametrize(
    ("before", "votes", "after"),
    [
        ("Joy", {"anger": 2, "frustration": 2, "Joy": 3}, "Angry"),  # a new most frequent class
        (None, {"anger": 2, "frustration": 2, "Joy": 2}, "Angry"),  # a tie that merging ends
        ("Joy", {"anger": 1, "frustration": 1, "Joy": 2}, None),  # a tie that merging makes
        ("Joy", {"anger": 2, "frustration": 2, "Other": 1}, "Happy"),  # a label that is not by these votes
        (None, {"anger": 3, "Joy": 1}, None),  # a stricter rule than most votes
        ("Other", {"Other": 2, "anger": 1, "frustration": 1}, None),
        ("Joy", {"Joy": 2, "Boredom": 1, "Other": 1}, "Happy"),  # what becomes `Other` does not win together
    ],
)
def test_a_label_by_votes_is_decided_anew_by_merged_votes(
    path: Path, before: str | None, votes: dict[str, float], after: str | None
) -> None:
    mapped, report = map_labels(corpus(labelled("a", before, **votes)), read_label_map(path))
    assert mapped.utterances[0].emotion == after
    assert report.decided_anew == (after != {"Joy": "Happy"}.get(before or "", before))


def test_utterances_of_a_class_that_is_left_out_are_left_out_and_listed(path: Path) -> None:
    given = corpus(labelled("a", "Boredom"), labelled("b", "Boredom", Boredom=2, Joy=1), labelled("c", "Joy"))
    mapped, report = map_labels(given, read_label_map(path))
    assert [u.id for u in mapped] == ["c"]
    assert [fault.place for fault in report.left_out] == ["a", "b"]


def test_classes_that_the_map_does_not_name_are_refused_unless_it_drops_them(path: Path) -> None:
    given = corpus(labelled("a", "joys"), labelled("b", "anger"), names=("anger", "joys", "Pride"))
    with pytest.raises(LabelError, match=r"mine: the label map mine .* joys, Pride\. Did you mean 'joy'\?"):
        map_labels(given, read_label_map(path))
    path.write_text('others = "drop"' + MAP)
    mapped, report = map_labels(given, read_label_map(path))
    assert [u.id for u in mapped] == ["b"]
    assert len(report.left_out) == 1


def test_a_label_outside_the_manifests_own_set_is_refused(path: Path) -> None:
    with pytest.raises(LabelError, match=r"utterance a: there is no class 'Wut'.*data fix"):
        map_labels(corpus(labelled("a", "Wut")), read_label_map(path))


def test_the_verb_writes_a_manifest_and_a_report_and_notices_another_map(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(labelled("a", "Boredom"), labelled("b", "Joy")).write(Path("in.jsonl"))
    words = ["data", "map", "in.jsonl", "--map", "mine.toml", "--out", "out.jsonl"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Boredom      left out           1" in said.out
    assert "1 utterances left out: listed in out.jsonl.report.jsonl" in said.err
    summary, fault = map(json.loads, Path("out.jsonl.report.jsonl").read_text().splitlines())
    assert (summary["left_out"], fault["place"]) == (1, "a")
    assert main(words) == 0
    assert capsys.readouterr().out == "up to date  out.jsonl\n"
    path.write_text("# a comment\n" + MAP)
    assert sertk.map_labels("in.jsonl", path, out="out.jsonl").up_to_date
    assert main(["why", "out.jsonl"]) == 0
    path.write_text(MAP.replace("Happy", "Glad"))
    assert main(words) == 0
    assert Manifest.read(Path("out.jsonl")).labels.names == ("Angry", "Glad")
    assert main([*words[:-1], "mine.toml"]) == 1
    assert "would replace the input mine.toml" in capsys.readouterr().err
