from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sertk.data.labels import LabelSet
from sertk.ensemble.posteriors import join
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError, EnsembleError, LabelError

LABELS = LabelSet(("Angry", "Sad", "Happy"))


def made(ids: tuple[str, ...] = ("a", "b", "c"), labels: LabelSet = LABELS, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    emotion = generator.dirichlet(np.ones(len(labels)), len(ids))
    return Predictions(ids, labels, emotion, generator.uniform(1, 7, (len(ids), 2)), ("arousal", "valence"))


def written(folder: Path, text: str, name: str = "system.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda t: t == t.strip()
)
names = words.filter(lambda t: t not in ("id", "emotion", "Other") and not t.startswith("attribute:"))


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    ids = tuple(draw(st.lists(words, min_size=1, max_size=6, unique=True)))
    known = ("arousal", "activation", "valence", "dominance", "intensity")
    classes = tuple(draw(st.lists(names.filter(lambda t: t not in known), min_size=2, max_size=5, unique=True)))
    attributes = tuple(
        draw(
            st.lists(st.sampled_from(known) | names, max_size=3, unique=True).filter(
                lambda a: not set(a) & {*classes}
            )
        )
    )
    weights = st.floats(0, 1, allow_nan=False)
    rows = []
    for _ in ids:
        row = np.array(draw(st.lists(weights, min_size=len(classes), max_size=len(classes))))
        rows.append(row / row.sum() if row.sum() > 1e-300 else np.eye(len(classes))[0])
    values = st.floats(allow_infinity=False)
    table = [draw(st.lists(values, min_size=len(attributes), max_size=len(attributes))) for _ in ids]
    shape = (len(ids), len(attributes))
    return Predictions(ids, LabelSet(classes), np.array(rows), np.array(table).reshape(shape), attributes)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=predictions())
def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path, suffix: str, before: Predictions) -> None:
    path = tmp_path / f"system{suffix}"
    before.write(path)
    after = Predictions.read(path)
    assert after.ids == before.ids
    assert after.labels.names == before.labels.names
    assert after.attribute_names == before.attribute_names
    np.testing.assert_array_equal(after.emotion, before.emotion)
    np.testing.assert_array_equal(after.attributes, before.attributes)


def test_columns_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, "Happy,valence,id,Angry,Sad\n0.7,3,one,0.1,0.2\n")
    read = Predictions.read(path, labels=LABELS)
    assert read.labels == LABELS
    np.testing.assert_array_equal(read.emotion, [[0.1, 0.2, 0.7]])
    assert read.attribute_names == ("valence",)
    own = Predictions.read(path)
    assert own.labels.names == ("Happy", "Angry", "Sad")
    np.testing.assert_array_equal(own.reordered(LABELS).emotion, read.emotion)


def test_an_empty_attribute_is_missing_not_zero(tmp_path: Path) -> None:
    read = Predictions.read(written(tmp_path, "id,Angry,Sad,arousal\na,0.5,0.5,\nb,1,0,4.5\n"))
    np.testing.assert_array_equal(read.attributes, [[np.nan], [4.5]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,Angry,Sad\na,0.5,0.5\nb,0.5,0.49\n", r"line 3: b: the probabilities sum to 0.99, not to 1"),
        ("id,Angry,Sad\na,0.5,0.5\na,1,0\n", r"line 3: the id 'a' is already in line 2"),
        ("id,Angry,Sad\na,1.5,-0.5\n", r"line 2: a: a probability is missing, not a number or below 0"),
        ("id,Angry,Sad\na,nan,1\n", r"line 2: a: a probability is missing"),
        ("id,Angry,Sad\na,,1\n", r"line 2: a: a probability is missing"),
        ("id,Angry,Sad\na,high,1\n", r"line 2: Angry must be a number, got 'high'"),
        ("id,Angry,Sad\na,1\n", r"line 2: 2 cells under 3 columns"),
        ("id,Angry,Sad\n,1,0\n", r"line 2: the id must be a text that is not empty"),
        ('id,Angry,Sad\n"a,1,0\n', r"line 2: not CSV"),
        ("id,Angry,Angry\na,1,0\n", r"line 1: a column occurs twice"),
        ("id,emotion,Angry,Sad\na,Sad,0.9,0.1\n", r"line 2: says 'Sad', but 'Angry' is more probable"),
        ("id,emotion,Angry,Sad\na,Sadd,0.1,0.9\n", r"line 2: there is no class 'Sadd'. Did you mean 'Sad'"),
        ("Id,Angry,Sad\na,1,0\n", r"has no column `id`"),
        ("id,Angry\na,1\n", r"the header gives no label set"),
        ("id,Angry,Sad\n", r"has no predictions"),
        ("", r"has no predictions"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Predictions.read(written(tmp_path, text))
    assert "system.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "Angry": 1, "Sad": 0}\n{"id": "b"}\n', r"line 2: has the fields id; the first has"),
        ('{"id": "a", "Angry": true, "Sad": 0}\n', r"line 1: Angry must be a number, got True"),
        ('{"id": 7, "Angry": 1, "Sad": 0}\n', r"line 1: the id must be a text"),
        ("[1]\n", r"line 1: needs an object"),
        ("{\n", r"line 1: not JSON"),
    ],
)
def test_bad_json_lines_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictions.read(written(tmp_path, text, "system.jsonl"))


def test_a_missing_class_is_named_with_the_nearest_column(tmp_path: Path) -> None:
    path = written(tmp_path, "id,Angry,Sad,Hapy\na,1,0,0\n")
    with pytest.raises(DataError, match=r"no column for the class 'Happy'. Did you mean 'Hapy'"):
        Predictions.read(path, labels=LABELS)


def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no predictions file"):
        Predictions.read(tmp_path / "no.csv")
    with pytest.raises(DataError, match="csv or "):
        Predictions.read(written(tmp_path, "", "system.txt"))


def test_writing_a_class_that_would_be_read_as_something_else_is_refused(tmp_path: Path) -> None:
    bad = made(labels=LabelSet(("valence", "Sad")))
    bad = Predictions(bad.ids, bad.labels, bad.emotion, np.zeros((3, 0)))
    with pytest.raises(DataError, match="cannot be called 'valence'"):
        bad.write(tmp_path / "system.csv")
    assert not [*tmp_path.iterdir()]


def test_arrays_that_are_no_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        made(("a", "b", "a"))
    with pytest.raises(DataError, match=r"sum to 1\.2"):
        Predictions(("a",), LabelSet(("x", "y")), np.array([[0.6, 0.6]]), np.zeros((1, 0)))
    with pytest.raises(DataError, match="need emotion"):
        Predictions(("a",), LABELS, np.array([[0.4, 0.6]]), np.zeros((1, 0)))


def test_subset_takes_by_id_and_lists_what_it_lacks() -> None:
    whole = made()
    np.testing.assert_array_equal(whole.subset(["c", "a"]).emotion, whole.emotion[[2, 0]])
    with pytest.raises(DataError, match="no prediction for x, y"):
        whole.subset(["a", "x", "y"])


def test_reordering_to_other_classes_is_refused() -> None:
    with pytest.raises(LabelError, match="asked for were Angry, Sad"):
        made().reordered(LabelSet(("Angry", "Sad")))


def test_join_puts_systems_in_one_order_and_lists_what_each_lacks() -> None:
    turned = LabelSet(("Happy", "Angry", "Sad"))
    one, other = made(("a", "b", "c"), seed=1), made(("d", "c", "b"), turned, seed=2)
    joined = join({"one": one, "other": other})
    assert joined.ids == ("b", "c")
    assert joined.missing == {"one": ("d",), "other": ("a",)}
    assert all(system.labels == LABELS and system.ids == joined.ids for system in joined.systems.values())
    np.testing.assert_array_equal(joined.systems["other"].emotion, other.emotion[[2, 1]][:, [1, 2, 0]])


def test_systems_that_cannot_be_joined_are_refused() -> None:
    with pytest.raises(EnsembleError, match="no utterance is predicted by all of one, other"):
        join({"one": made(("a",)), "other": made(("b",))})
    with pytest.raises(EnsembleError, match="other does not fit one"):
        join({"one": made(), "other": made(labels=LabelSet(("Angry", "Sad")))})
    with pytest.raises(EnsembleError, match="no predictions"):
        join({})
