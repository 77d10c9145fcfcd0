"""The segmenter `spans`: files of diarizers, recognisers and annotators, good and bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sertk
from sertk.errors import DataError, LeftOutWarning
from sertk.testing import checks
from sertk.timelines.readers import read_segments

FILES = {
    "call.rttm": "SPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA> <NA>\n"
    "SPEAKER call 1 3.5 2.0 <NA> <NA> B <NA> <NA>\nSPEAKER call 1 1.0 2.5 <NA> <NA> A <NA> <NA>\n",
    "call.csv": "start,end,speaker,text\n1.0,3.5,A,\n3.5,5.5,B,\n",
    "call.json": json.dumps(
        {"segments": [{"start": 1.0, "end": 3.5, "speaker": "A"}, {"start": 3.5, "end": 5.5, "speaker": "B"}]}
    ),
}


@pytest.fixture
def call(tmp_path: Path, noise: Callable[..., np.ndarray]) -> Path:
    soundfile.write(tmp_path / "call.wav", noise(7.0), 16_000)
    return tmp_path / "call.wav"


@pytest.mark.parametrize("name", FILES)
def test_turns_beside_the_recording_are_used_with_their_speakers(name: str, call: Path, model: Path) -> None:
    call.with_name(name).write_text(FILES[name])
    (found,) = sertk.timeline(model, call, segmenter="spans", confidence=0.0).timelines
    assert [(span.start_s, span.end_s, span.state, span.speaker) for span in found.spans] == [
        (0.0, 1.0, "no speech", None),
        (1.0, 3.5, "emotion", "A"),
        (3.5, 5.5, "emotion", "B"),
        (5.5, 7.0, "no speech", None),
    ]


def test_labels_of_audacity_become_words(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("0.5\t1.25\tgood morning\n\\\t100.0\t200.0\n2\t3\t\n")
    assert [(s.start_s, s.end_s, s.text) for s in read_segments(path)] == [(0.5, 1.25, "good morning"), (2, 3, None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.rttm", "SPEAKER x 1 1.0\n", "line 1: no span"),
        ("x.csv", "start,stop_at\n1,2\n", "line 2: no span: has no end"),
        ("x.csv", "start,end\n3,2\n", "line 2: no span: from 3 to 2 s"),
        ("x.csv", "start,end\nnan,2\n", "line 2"),
        ("x.json", "[1", "no span"),
        ("x.json", '{"segments": [{"start": 1}]}', "segment|the beginning"),
        ("x.txt", "one two\n", "no span"),
        ("x.docx", "", "files of spans are .rttm"),
    ],
)
def test_what_is_no_span_is_refused_with_its_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_segments(tmp_path / name)


def test_spans_of_another_recording_are_refused(call: Path, model: Path) -> None:
    call.with_name("call.csv").write_text("start,end\n1,2\n30,31\n")
    with pytest.warns(LeftOutWarning, match=r"from 30 to 31 s is outside of .* which has 7.00 s"):
        assert not sertk.timeline(model, call, segmenter="spans").timelines
    call.with_name("call.csv").unlink()
    with pytest.warns(LeftOutWarning, match=r"no file of spans; looked for call\.rttm, call\.csv"):
        sertk.timeline(model, call, segmenter="spans")


def test_spans_that_overlap_or_last_a_millisecond_are_used(call: Path, model: Path) -> None:
    rows = [
        "1.0,3.0,A,one",
        "1.5,2.0,A,two",
        "2.5,4.0,A,three",
        "2.0,4.5,B,four",
        "5.0,5.001,A,five",
        "6.0,7.3,A,six",
    ]
    call.with_name("call.csv").write_text("\n".join(["start,end,speaker,text", *rows]) + "\n")
    (found,) = sertk.timeline(model, call, segmenter="spans", smooth=0.0, confidence=0.0, shortest=0.0).timelines
    spoken = [span for span in found.spans if span.speaker]
    assert all(span.posterior for span in spoken)
    assert " ".join(span.text or "" for span in spoken if span.speaker == "A") == "one two three five six"
    assert [(span.start_s, span.end_s) for span in spoken if span.speaker == "B"] == [(2.0, 4.5)]
    assert any((span.start_s, span.end_s) == (5.0, 5.001) for span in spoken)
    assert found.spans[-1].end_s == 7.0


def test_other_spans_make_the_timeline_again(call: Path, model: Path, tmp_path: Path) -> None:
    call.with_name("call.csv").write_text(FILES["call.csv"])
    out = tmp_path / "out"
    assert sertk.timeline(model, call, segmenter="spans", into=out).written
    turns = tmp_path / "turns.csv"
    call.with_name("call.csv").rename(turns)
    assert sertk.timeline(model, call, segmenter="spans", source=str(turns), into=out).up_to_date
    turns.write_text("start,end\n1,2\n")
    assert sertk.timeline(model, call, segmenter="spans", source=str(turns), into=out).written


def test_long_spans_are_cut_up_and_the_contract_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "made-up.csv"
    path.write_text("start,end,speaker\n0.5,12,A\n3,4,B\n14,20,A\n")
    options = {"source": str(path), "longest": 4.0}
    reasons = {
        "memory": "the file says where spans are, whatever the sound is",
        "lag": "the file is there before the sound",
        "short_input": "spans outside a recording are refused",
    }
    for check in checks("segmenter", "spans", options=options, leave_out=reasons):
        check()
