"""Keys, records, and what differs: tested on files and folders that stand for what verbs write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sertk.files import sha256_file, write_sums
from sertk.outputs import making
from sertk.provenance import (
    Change,
    Provenance,
    changes,
    from_here,
    is_current,
    options_as_parts,
    read_record,
    record_path,
    write_record,
)

MADE = Provenance("score", {"predictions one": "aa", "options.draws": "1000"}, {"draws": 1000}, ("one.csv",))


def made_file(folder: Path, made: Provenance = MADE, text: str = "scores") -> Path:
    out = folder / "scores.json"
    with making(out, made):
        out.write_text(text)
    return out


def made_folder(folder: Path, made: Provenance = MADE) -> Path:
    out = folder / "model"
    out.mkdir()
    (out / "weights").write_bytes(b"1234")
    write_record(out, made)
    write_sums(out)
    return out


def test_the_key_follows_verb_and_parts_and_nothing_else() -> None:
    same = Provenance("score", {"options.draws": "1000", "predictions one": "aa"}, {"draws": 7}, ("elsewhere.csv",))
    assert same.key == MADE.key
    others = [
        Provenance("report", MADE.parts),
        Provenance("score", {**MADE.parts, "options.draws": "1001"}),
        Provenance("score", {**MADE.parts, "more": ""}),
        Provenance("score", {"predictions one": "aa"}),
        Provenance("score", {"predictions one": "options.draws", "aa": "1000"}),
    ]
    assert len({MADE.key, *(other.key for other in others)}) == 6


@pytest.mark.parametrize("make", [made_file, made_folder])
def test_what_was_made_from_the_same_is_current_until_it_changes(tmp_path: Path, make: object) -> None:
    out: Path = make(tmp_path)  # type: ignore[operator]
    assert is_current(out, MADE)
    assert not is_current(out, Provenance("score", {**MADE.parts, "options.draws": "1001"}))
    inside = out / "weights" if out.is_dir() else out
    inside.write_bytes(b"other")
    assert not is_current(out, MADE)
    inside.unlink()
    assert not is_current(out, MADE)


@pytest.mark.parametrize("make", [made_file, made_folder])
def test_a_record_reads_as_it_was_written(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out: Path = make(tmp_path)  # type: ignore[operator]
    record = read_record(out)
    assert record is not None
    assert record.made == MADE
    assert (record.finished, record.intact) == (True, True)
    assert record.folder == (".." if out.is_dir() else ".")
    assert record.files == ({} if out.is_dir() else {"": sha256_file(out)})


def test_what_is_not_finished_is_not_current(tmp_path: Path) -> None:
    out = tmp_path / "scores.json"

    def half() -> None:
        with making(out, MADE):
            out.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    record = read_record(out)
    assert record is not None
    assert not record.finished
    assert not is_current(out, MADE)
    assert is_current(made_file(tmp_path), MADE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"sertk_provenance": 2}',
        '{"sertk_provenance": 1}',
        '{"sertk_provenance": 1, "verb": "score", "parts": 3, "call": {}}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    out = made_file(tmp_path)
    record_path(out).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_record(out) is None
    assert not is_current(out, MADE)


def test_a_record_whose_parts_were_changed_is_not_current_but_says_whose_it_is(tmp_path: Path) -> None:
    out = made_file(tmp_path)
    row = json.loads(record_path(out).read_text())
    row["parts"]["options.draws"] = "1001"
    record_path(out).write_text(json.dumps(row))
    record = read_record(out)
    assert record is not None
    assert not record.intact
    assert record.made.verb == "score"
    assert not is_current(out, record.made)


def test_the_parts_that_differ_are_named_with_both_values() -> None:
    now = Provenance("score", {"predictions one": "bb", "options.draws": "1000", "options.seed": "1"})
    assert changes(MADE, now) == [Change("options.seed", None, "1"), Change("predictions one", "aa", "bb")]
    assert changes(now, MADE) == [Change("options.seed", "1", None), Change("predictions one", "bb", "aa")]
    assert changes(MADE, MADE) == []


def test_options_become_one_part_a_leaf() -> None:
    options = {
        "seed": 1,
        "fusion": {"use": "gated", "dims": [1, 2]},
        "stage": [{"name": "full", "epochs": 3}, {"name": "second", "epochs": 2}],
        "loss": [{"use": "kl"}, {"use": "focal"}],
        "nothing": {},
        "none": None,
    }
    assert options_as_parts("x", options) == {
        "x.seed": "1",
        "x.fusion.use": '"gated"',
        "x.fusion.dims": "[1, 2]",
        "x.stage.full.name": '"full"',
        "x.stage.full.epochs": "3",
        "x.stage.second.name": '"second"',
        "x.stage.second.epochs": "2",
        "x.stage.order": '["full", "second"]',
        "x.loss.0.use": '"kl"',
        "x.loss.1.use": '"focal"',
        "x.loss.order": '["0", "1"]',
        "x.nothing": "{}",
        "x.none": "null",
    }


def test_paths_of_calls_are_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert from_here(tmp_path / "b" / "m.jsonl") == "../b/m.jsonl"
    assert from_here(Path("m.jsonl")) == "m.jsonl"
