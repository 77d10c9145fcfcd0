"""Whose an output is: what verbs may replace, and that nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.errors import BusyError, OutputError
from sertk.locks import sole_writer
from sertk.outputs import making, refuse_collisions, refuse_foreign, refuse_foreign_files
from sertk.provenance import Provenance, is_current, record_path, write_record

MADE = Provenance("score", {"options.draws": "1000"})
SIDE = ".report.jsonl"


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def text_file(out: Path) -> None:
    out.write_text("mine")


def empty_file(out: Path) -> None:
    out.touch()


def another_verbs_file(out: Path) -> None:
    with making(out, Provenance("report", {})):
        out.write_text("page")


def folder_with_files(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("mine")


def folder_with_a_lock_of_another_program(out: Path) -> None:
    out.mkdir()
    (out / "poetry.lock").write_text("mine")


def another_verbs_folder(out: Path) -> None:
    out.mkdir()
    (out / "weights").write_text("trained")
    write_record(out, Provenance("train", {}))


def link_to_nothing(out: Path) -> None:
    out.symlink_to(out.with_name("nowhere"))


def link_to_a_file(out: Path) -> None:
    out.with_name("real").write_text("mine")
    out.symlink_to("real")


def file_with_a_record_that_cannot_be_read(out: Path) -> None:
    out.write_text("mine")
    record_path(out).write_text("{")


def below_a_file(out: Path) -> None:
    out.parent.rmdir()
    out.parent.write_text("mine")


FOREIGN = [
    text_file,
    empty_file,
    another_verbs_file,
    folder_with_files,
    folder_with_a_lock_of_another_program,
    another_verbs_folder,
    link_to_nothing,
    link_to_a_file,
    file_with_a_record_that_cannot_be_read,
    below_a_file,
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_foreign_is_refused_before_any_work_and_stays(
    tmp_path: Path, foreign: Callable[[Path], None]
) -> None:
    out = tmp_path / "below" / "out"
    out.parent.mkdir()
    foreign(out)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="out"):
        refuse_foreign_files("score", [out])
    with pytest.raises(OutputError, match="out"), making(out, MADE):
        pytest.fail("the work was begun")
    if foreign is not file_with_a_record_that_cannot_be_read:
        with pytest.raises(OutputError, match="out"):
            refuse_foreign(out, "score")
    assert contents(tmp_path) == before


def test_what_is_new_or_an_empty_folder_may_be_written(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "new" / "folder", "train")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".lock-1of2").touch()
    refuse_foreign(tmp_path / "empty", "train")
    (tmp_path / "empty" / "index.json").touch()
    refuse_foreign(tmp_path / "empty", "extract", own=["index.json"])
    with pytest.raises(OutputError, match=r"a folder with index\.json, not an earlier result of `sertk train`"):
        refuse_foreign(tmp_path / "empty", "train")


def test_the_message_names_three_of_what_is_there_and_who_made_it(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match="is a folder with a, b, c and 2 more, not an earlier result of"):
        refuse_foreign(tmp_path, "train")
    write_record(tmp_path, Provenance("combine", {}))
    with pytest.raises(OutputError, match="made by `sertk combine`, not an earlier result of `sertk train`"):
        refuse_foreign(tmp_path, "train")
    refuse_foreign(tmp_path, "combine")


def test_an_own_earlier_file_is_replaced_and_an_edited_one_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "RESULTS.md"
    for text in ("first", "second"):
        with making(out, MADE) as edited:
            out.write_text(text)
        assert edited == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RESULTS.md", "RESULTS.md.provenance.json"]
    for number, name in enumerate(("RESULTS.md.edited", "RESULTS.md.edited-2")):
        out.write_text(f"edited {number}")
        with making(out, MADE) as edited:
            out.write_text("third")
        assert edited == [tmp_path / name]
        assert (tmp_path / name).read_text() == f"edited {number}"
        assert is_current(out, MADE)


def test_side_files_are_part_of_a_file_and_leave_with_it(tmp_path: Path) -> None:
    out, side = tmp_path / "m.jsonl", tmp_path / "m.jsonl.report.jsonl"
    with making(out, MADE, sides=[SIDE]):
        out.write_text("manifest")
        side.write_text("faults")
    assert is_current(out, MADE)
    side.write_text("changed")
    assert not is_current(out, MADE)
    with making(out, MADE, sides=[SIDE]) as edited:
        assert not side.exists()
        out.write_text("without faults")
    assert edited == [tmp_path / "m.jsonl.report.jsonl.edited"]
    assert not side.exists()
    assert is_current(out, MADE)
    side.write_text("of somebody else")
    with pytest.raises(OutputError, match=r"m\.jsonl\.report\.jsonl is not of an earlier result"):
        refuse_foreign_files("score", [out], sides=[SIDE])
    with pytest.raises(OutputError, match=r"report\.jsonl"), making(out, MADE, sides=[SIDE]):
        pytest.fail("the work was begun")
    assert side.read_text() == "of somebody else"


def test_an_interrupted_file_is_written_again_with_its_side_files(tmp_path: Path) -> None:
    out, side = tmp_path / "m.jsonl", tmp_path / "m.jsonl.report.jsonl"

    def half() -> None:
        with making(out, MADE, sides=[SIDE]):
            side.write_text("half of the faults")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    with making(out, MADE, sides=[SIDE]) as edited:
        out.write_text("manifest")
    assert edited == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "m.jsonl.provenance.json"]


def test_a_second_process_that_makes_the_same_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"from pathlib import Path; from sertk.locks import sole_writer\nwith sole_writer(Path({str(out)!r})): print('begun', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BusyError, match=f"process {other.pid}"), making(out, MADE):
            pytest.fail("the work was begun")
        other.communicate("\n")
    with sole_writer(out):
        pass


def test_outputs_that_fall_on_each_other_or_on_an_input_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.jsonl").touch()
    Path("same.jsonl").symlink_to("m.jsonl")
    with pytest.raises(OutputError, match="are the same place"):
        refuse_collisions([Path("a.csv"), Path("x/../a.csv")])
    with pytest.raises(OutputError, match="one is inside the other"):
        refuse_collisions([Path("a"), Path("a/b")])
    with pytest.raises(OutputError, match="one is inside the other"):
        refuse_collisions([Path("a/b/c"), Path("a")])
    for out in ("m.jsonl", "same.jsonl", tmp_path / "m.jsonl"):
        with pytest.raises(OutputError, match=r"would replace the input m\.jsonl"):
            refuse_collisions([Path(out)], [Path("m.jsonl")])
    with pytest.raises(OutputError, match="would replace the input a/m"):
        refuse_collisions([Path("a")], [Path("a/m")])
    refuse_collisions([Path("a/out"), Path("b")], [Path("a"), Path("m.jsonl")])
    with pytest.raises(OutputError, match="same place"):
        refuse_foreign_files("score", [Path("a"), Path("a.provenance.json")])
    with pytest.raises(OutputError, match=r"would replace the input a\.report\.jsonl"):
        refuse_foreign_files("score", [Path("a")], sides=[SIDE], inputs=[Path("a.report.jsonl")])


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder, where a file is to be written"):
        refuse_foreign_files("score", [tmp_path])


@pytest.mark.skipif(not Path(os.devnull).exists(), reason="no devices")
def test_a_device_is_no_place_for_a_file() -> None:
    with pytest.raises(OutputError, match="not an earlier result"):
        refuse_foreign_files("score", [Path(os.devnull)])


def test_a_folder_with_a_torn_record_alone_may_be_written(tmp_path: Path) -> None:
    (tmp_path / ".provenance.json.machine-12.part").write_text("{")
    refuse_foreign(tmp_path, "submit")
