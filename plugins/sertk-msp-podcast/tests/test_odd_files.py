"""Label files as spreadsheets save them, and copies of corpora as people keep them."""

from __future__ import annotations

import csv
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from hypothesis import strategies as st
from sertk_msp_podcast.consensus import read_consensus
from sertk_msp_podcast.ratings import read_detailed
from sertk_msp_podcast.read import read_msp_podcast

from sertk.cli import main
from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest
from sertk.errors import DataError

Rewrite = Callable[[str, Path], Path]
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff"), max_size=8)


@pytest.fixture(scope="module")
def read(toy: Path) -> tuple[Manifest, CorpusReport]:
    return read_msp_podcast(toy)


def labels(manifest: Manifest) -> list[object]:
    return [(u.id, u.emotion, u.attributes, u.votes, u.raters) for u in manifest]


def kinds(report: CorpusReport) -> dict[str, int]:
    return {kind: len(faults) for kind, faults in report.faults.items()}


def with_commas(path: Path, *, delimiter: str) -> None:
    """Save a CSV file again as a spreadsheet does where decimals have commas."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[re.sub(r"^(\d+)\.(\d+)$", r"\1,\2", cell) for cell in row] for row in csv.reader(file)]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("layout", ["1.6 csv", "1.12 csv", "2.0 csv"])
def test_decimal_commas_are_read(
    layout: str, delimiter: str, read: tuple[Manifest, CorpusReport], rewrite: Rewrite, tmp_path: Path
) -> None:
    folder = rewrite(layout, tmp_path / "corpus")
    for path in folder.rglob("labels_*.csv"):
        with_commas(path, delimiter=delimiter)
        packed = layout == "1.12 csv" and "detailed" in path.name
        assert packed or re.search(r"\d,\d", path.read_text("utf-8-sig"))
    manifest, report = read_msp_podcast(folder)
    assert labels(manifest) == labels(read[0])
    assert all(len(u.attributes) == 3 for u in manifest if u.split != "test3")
    assert set(report.values_missing.values()) == {0}
    assert report.ratings_missing == read[1].ratings_missing


def test_decimal_commas_in_packed_text_and_labels_txt_are_read(
    read: tuple[Manifest, CorpusReport], rewrite: Rewrite, tmp_path: Path
) -> None:
    for layout, name in (("2025 csv", "labels_detailed.csv"), ("2025 txt", "labels.txt")):
        folder = rewrite(layout, tmp_path / layout)
        (path,) = folder.rglob(name)
        path.write_text(re.sub(r"([AVD]):(\d)\.(\d)", r"\1:\2,\3", path.read_text()))
        manifest, report = read_msp_podcast(folder)
        assert labels(manifest) == labels(read[0])
        assert set(report.values_missing.values()) == {0}


def test_values_that_cannot_be_read_are_listed_with_line_and_cell_and_counted_by_column(copy: Path) -> None:
    path = copy / "Labels" / "labels_consensus.csv"
    rows = [row.split(",") for row in path.read_text().splitlines()]
    columns = rows[0]
    arousal, valence = columns.index("EmoAct"), columns.index("EmoVal")
    for row in rows[1:]:
        row[arousal] = "5·8"
    rows[4][valence], rows[6][valence] = "", "9.5"
    path.write_text("\n".join(",".join(row) for row in rows))
    manifest, report = read_msp_podcast(copy)
    assert report.values_missing == {"arousal": 64, "valence": 2, "dominance": 0}
    assert not any("arousal" in u.attributes for u in manifest)
    faults = {fault.place: fault.message for fault in report.faults["consensus row"]}
    assert len(faults) == 64
    assert (
        "EmoAct should be a number from 1 to 7, got '5·8'; value left out" in faults["labels_consensus.csv, line 3"]
    )
    (fault,) = report.faults["missing attribute"]
    assert fault.place == "arousal"
    assert report.summary()["values_missing"] == report.values_missing


def test_prepare_says_how_many_values_are_missing_by_column(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "Labels" / "labels_consensus.json"
    (copy / "Labels" / "labels_consensus.csv").unlink()
    fields = json.loads(path.read_text())
    for row in fields.values():
        row["EmoDom"] = "?"
    path.write_text(json.dumps(fields))
    out = tmp_path / "m.jsonl"
    assert main(["data", "prepare", "msp_podcast", str(copy), "--no-audio", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "64 rows of the consensus; without a value: arousal 0, valence 0, dominance 64" in shown.out
    assert re.search(
        r"raters' rows; \d+ for Other; without a value: arousal \d+, valence \d+, dominance \d+", shown.out
    )
    assert "missing attribute 1, consensus row 64: listed in" in shown.err


@pytest.mark.parametrize("layout", ["1.6 csv", "1.12 csv", "2025 csv", "2.0 csv"])
@pytest.mark.parametrize("spoil", [lambda row: row.replace('"', "", 1), lambda row: row.rstrip() + '"\n'])
def test_an_odd_quote_costs_its_own_row(
    layout: str,
    spoil: Callable[[str], str],
    read: tuple[Manifest, CorpusReport],
    rewrite: Rewrite,
    tmp_path: Path,
) -> None:
    folder = rewrite(layout, tmp_path / "corpus")
    (path,) = folder.rglob("labels_detailed.csv")
    rows = path.read_text().splitlines(keepends=True)
    quoted = [number for number, row in enumerate(rows) if '"' in row]
    number = quoted[0] if quoted else 5
    rows[number] = f'"{rows[number]}' if not quoted else spoil(rows[number])
    path.write_text("".join(rows))
    manifest, report = read_msp_podcast(folder)
    assert report.rater_rows == read[1].rater_rows
    listed = report.faults.get("rater row", [])
    assert len(listed) <= 1  # in some places a quote does no harm
    kept = sum(len(u.raters) for u in manifest)
    assert kept == sum(len(u.raters) for u in read[0]) - len(listed)
    if listed:
        assert listed[0].place == f"labels_detailed.csv, line {number + 1}"


def test_an_odd_quote_in_the_consensus_costs_its_own_row(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    path = copy / "Labels" / "labels_consensus.csv"
    rows = path.read_text().splitlines(keepends=True)
    rows[7] = f'"{rows[7]}'
    path.write_text("".join(rows))
    made = read_consensus(path)
    assert len(made.by_id) == 63
    assert [fault.place for fault in made.faults] == ["labels_consensus.csv, line 8"]
    assert "a quote is not closed" in made.faults[0].message
    manifest, _ = read_msp_podcast(copy)
    assert len(manifest) == len(read[0]) - 1


@pytest.mark.parametrize("packed", [True, False])
def test_many_odd_quotes_take_no_more_than_linear_time(tmp_path: Path, packed: bool) -> None:
    columns = "EmoDetail" if packed else "WorkerID,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom"
    good = '"WORKER1; Neutral; ; A:3.0; V:4.0; D:4.0;"' if packed else 'WORKER1,Neutral,"Sad,Fear",3,4,4'
    odd = good[:-1] if packed else good.replace('Fear"', "Fear")
    seconds = {}
    for count in (2000, 16_000):
        rows = [f"a{n}.wav,{odd if n % 2 or n > count / 2 else good}\n" for n in range(count)]
        path = tmp_path / f"{count}.csv"
        path.write_text(f"FileName,{columns}\n" + "".join(rows))
        took = []
        for _ in range(3):  # the quickest of three, whatever else the machine does
            begun = time.process_time()
            made = read_detailed(path)
            took.append(time.process_time() - begun)
        seconds[count] = min(took)
        assert (made.rows, len(made.faults)) == (count, sum(f"{odd}\n" in row for row in rows))
    assert seconds[16_000] < 24 * max(seconds[2000], 0.02), "eight times the rows"


def test_one_odd_quote_does_not_swallow_40_000_rows(tmp_path: Path) -> None:
    path = tmp_path / "labels_detailed.csv"
    rows = [f'a{n}.wav,"WORKER1; Neutral; ; A:3.0; V:4.0; D:4.0;"\n' for n in range(40_000)]
    rows[4] = rows[4].replace('"', "", 1).replace("WORKER1", '"WORKER1').replace(';"', ";")
    path.write_text("FileName,EmoDetail\n" + "".join(rows))
    begun = time.process_time()
    made = read_detailed(path)
    assert (made.rows, len(made.by_id), len(made.faults)) == (40_000, 39_999, 1)
    assert made.faults[0].place == "labels_detailed.csv, line 6"
    assert time.process_time() - begun < 20


def test_words_that_are_no_utf_8_and_odd_names_are_listed_and_the_rest_is_read(
    copy: Path, read: tuple[Manifest, CorpusReport], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = read[0].utterances[:2]
    (copy / "Transcripts" / f"{first.id}.txt").write_bytes(b"caf\xe9 au lait")
    for name in (b"Audios/caf\xe9.wav", b"Transcripts/caf\xe9.txt"):
        Path(os.fsdecode(os.fsencode(copy) + b"/" + name)).write_bytes(b"")
    out = tmp_path / "m.jsonl"
    assert main(["data", "prepare", "msp_podcast", str(copy), "--out", str(out)]) == 0
    assert "unexpected" not in capsys.readouterr().err
    manifest = Manifest.read(out)
    assert [u.id for u in manifest] == [u.id for u in read[0]]
    assert [u.text for u in manifest][:2] == ["caf\ufffd au lait", second.text]
    listed = [json.loads(line) for line in (tmp_path / "m.jsonl.report.jsonl").read_text("utf-8").splitlines()]
    assert {line["kind"] for line in listed[1:]} == {
        "transcript not UTF-8",
        "empty transcript",
        "recording without labels",
    }
    (fault,) = (line for line in listed[1:] if line["kind"] == "transcript not UTF-8")
    assert fault["place"] == first.id
    assert "(byte 3); kept with U+FFFD" in fault["message"]


def test_a_corpus_in_a_folder_whose_name_is_no_utf_8_is_refused_with_what_to_do(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Path(os.fsdecode(os.fsencode(tmp_path) + b"/donn\xe9es"))
    copy.rename(moved)
    out = tmp_path / "m.jsonl"
    assert main(["data", "prepare", "msp_podcast", str(moved), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "none of 128 recordings could be read" in error
    assert r"donn\xe9es" in error
    assert "rename the file or its folder" in error
    assert main(["data", "prepare", "msp_podcast", str(moved), "--no-audio", "--out", str(out)]) == 1
    assert "not UTF-8" in capsys.readouterr().err


def test_recordings_of_other_formats_are_taken_and_those_to_convert_are_named(
    copy: Path, read: tuple[Manifest, CorpusReport]
) -> None:
    by_form = {"flac": "FLAC", "aiff": "AIFF", "oga": "OGG"}
    paths = sorted((copy / "Audios").iterdir())
    for path, suffix in zip(paths, by_form, strict=False):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(f".{suffix}"), samples, rate, format=by_form[suffix])
        path.unlink()
    paths[5].rename(paths[5].with_suffix(".m4a"))
    manifest, report = read_msp_podcast(copy)
    assert len(manifest) == len(read[0]) - 1
    assert kinds(report) == {"unread format": 1, "no recording": 1}
    assert (
        f"convert it: ffmpeg -i {paths[5].stem}.m4a {paths[5].stem}.wav" in report.faults["unread format"][0].message
    )
    for path in (copy / "Audios").iterdir():
        path.rename(path.with_suffix(".m4a"))
    with pytest.raises(DataError, match=r"128 must be converted first: .*convert it: ffmpeg"):
        read_msp_podcast(copy)


def test_a_name_that_would_break_files_is_a_fault_of_its_row(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    path = copy / "Labels" / "labels_consensus.csv"
    rows = path.read_text().splitlines()
    cells = rows[1].split(",", 1)[1]
    path.write_text("\n".join([*rows, f"__metadata__.wav,{cells}", f"a\u2028b.wav,{cells}", f".wav,{cells}"]))
    made = read_consensus(path)
    assert len(made.by_id) == 64
    assert [fault.place for fault in made.faults] == [f"labels_consensus.csv, line {n}" for n in (66, 67, 68)]
