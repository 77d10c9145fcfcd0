"""The raters' rows, packed and in columns: whatever raters typed, what was written is read."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sertk_msp_podcast.consensus import consensus_of, read_text
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.rating import SECONDARY, Rating, parse_packed
from sertk_msp_podcast.ratings import read_detailed

SPICE = st.sampled_from(["; ", ";", ", ", '"', "A:3.0;", " D:4.0;", "Sad", "Other-", ":", "-", "'", "nan", "é", "  "])
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
FREE = st.lists(st.one_of(SPICE, WORDS), max_size=6).map(lambda parts: "".join(parts).strip())
PRIMARY = st.one_of(
    st.sampled_from(MSP_PODCAST.names), FREE.map(lambda text: f"Other-{text}" if text else "Other"), st.just("Other")
)
SECOND = st.lists(st.sampled_from(SECONDARY), max_size=4, unique=True).map(tuple)
VALUE = st.one_of(st.integers(1, 7).map(float), st.just(math.nan))
RATINGS = st.builds(
    Rating, st.integers(1, 99_999_999).map("WORKER{:08d}".format), PRIMARY, SECOND, VALUE, VALUE, VALUE
)


def packed(rating: Rating) -> str:
    a, v, d = rating[3:]
    return f"{rating.worker}; {rating.primary}; {','.join(rating.secondary)}; A:{a}; V:{v}; D:{d};"


def same(one: Rating, other: Rating) -> bool:
    return repr(one) == repr(other)  # NaN is no number that equals itself


@given(RATINGS)
def test_packing_and_reading_gives_the_rating_again(rating: Rating) -> None:
    assert same(parse_packed(packed(rating)), rating)


@given(RATINGS, st.sampled_from(["", " ", "\r\n"]), st.booleans())
def test_blanks_and_the_last_semicolon_do_not_matter(rating: Rating, blank: str, closed: bool) -> None:
    text = packed(rating) if closed else packed(rating)[:-1]
    assert same(parse_packed(f"{blank}{text}{blank}"), rating)


@given(st.one_of(st.text(max_size=60), st.lists(SPICE, max_size=12).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rating = parse_packed(text)
    except ValueError:
        return
    assert rating.vote in (*MSP_PODCAST.names, "Other")
    assert all(math.isnan(value) or 1 <= value <= 7 for value in rating[3:])


@settings(max_examples=50, deadline=None)
@given(st.lists(RATINGS, max_size=5, unique_by=lambda rating: rating.worker))
def test_every_form_of_the_file_gives_the_same_ratings(ratings: list[Rating]) -> None:
    columns = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
    with tempfile.TemporaryDirectory() as folder:
        quoted, plain, old, new = (Path(folder) / f"{name}.csv" for name in ("quoted", "plain", "old", "new"))
        rows = [[r.worker, r.primary, ",".join(r.secondary), *r[3:]] for r in ratings]
        _write(quoted, ["FileName", "EmoDetail"], [["x.wav", packed(r)] for r in ratings])
        _write(old, ["FileName", "Workers", *columns], [["x.wav", *row] for row in rows])
        _write(new, ["FileName", "WorkerID", *columns], [["x.wav", *row] for row in rows])
        plain.write_text("FileName,EmoDetail\n" + "".join(f"x.wav,{packed(r)}\n" for r in ratings), encoding="utf-8")
        keyed = {r.worker: dict(zip(columns, row[1:], strict=True)) for r, row in zip(ratings, rows, strict=True)}
        as_json, text = Path(folder) / "all.json", Path(folder) / "labels.txt"
        as_json.write_text(json.dumps({"x.wav": keyed}))
        blocks = "x.wav; N; A:3.0; V:4.0; D:3.5;\n" + "".join(f"{packed(r)}\n" for r in ratings)
        text.write_text(f"{blocks}\n", encoding="utf-8")
        read = [read_detailed(path) for path in (quoted, plain, old, new, as_json)] + [read_text(text)[1]]
        for result in read:
            assert result.faults == []
            assert result.rows == len(ratings)
            assert repr(result.by_id.get("x", [])) == repr(ratings)


@given(st.lists(RATINGS, min_size=1, max_size=8))
def test_the_consensus_is_the_most_frequent_vote_or_none(ratings: list[Rating]) -> None:
    votes = [rating.vote for rating in ratings]
    consensus = consensus_of(ratings)
    best = max(map(votes.count, votes))
    winners = {vote for vote in votes if votes.count(vote) == best}
    assert consensus.emotion == (winners.pop() if len(winners) == 1 else None)
    for value in consensus.attributes.values():
        assert 1 <= value <= 7


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.mark.parametrize(
    ("middle", "primary", "secondary"),
    [
        ("Neutral; ", "Neutral", ()),
        ("neutral ; Dissapointed,SAD", "Neutral", ("Disappointed", "Sad")),
        ("Other-a; b, c; Concerned,Confused", "Other-a; b, c", ("Concerned", "Confused")),
        ("Other-A:1; V:2; D:3; ", "Other-A:1; V:2; D:3", ()),
        ("Other; Sad", "Other", ("Sad",)),
        ("Happy; Other-hmm; well", "Happy", ("Other-hmm; well",)),
        ("Angry; Angry,Angry", "Angry", ("Angry",)),
    ],
)
def test_what_lies_between_worker_and_ratings(middle: str, primary: str, secondary: tuple[str, ...]) -> None:
    rating = parse_packed(f"WORKER1; {middle}; A:3.0; V:4.0; D:nan;")
    assert (rating.primary, rating.secondary) == (primary, secondary)
    assert math.isnan(rating.dominance)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WORKER1; Neutral; ",
        "WORKER1; Neutral; ; A:3.0; V:4.0;",
        "WORKER1; Neutral; ; A:3.0; A:4.0; D:4.0;",
        "WORKER1; Neutral; ; A:8.0; V:4.0; D:4.0;",
        "WORKER1; Neutral; ; A:x; V:4.0; D:4.0;",
        "WORKER1; Bored; ; A:3.0; V:4.0; D:4.0;",
        "; Neutral; ; A:3.0; V:4.0; D:4.0;",
    ],
)
def test_a_row_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_packed(text)
