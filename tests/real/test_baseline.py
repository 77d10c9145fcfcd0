"""`sertk baseline` on real speech with real weights: one command to an honest score."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sertk.cli import main

pytestmark = pytest.mark.real


def test_emodb_from_its_folder_scores_as_the_recipe_does(weights: Path, emodb: Path, tmp_path: Path) -> None:
    pytest.importorskip("sertk_lab")
    words = ["--reader", "emodb", "--no-deepser", "--models", str(weights), "--jobs", "1", "--device", "cpu"]
    assert main(["baseline", str(emodb), "--out", str(tmp_path / "base"), *words]) == 0
    page = (tmp_path / "base" / "results" / "RESULTS.md").read_text()
    header, row = (line for line in page.splitlines() if line.startswith(("| system", "| linear")))
    scores = dict(zip(*(next(csv.reader([line.strip("| ")], delimiter="|")) for line in (header, row)), strict=True))
    uar = next(value for name, value in scores.items() if name.strip() == "UAR")
    print(f"EMO-DB, one speaker out, linear: UAR {uar.strip()}")
    assert float(uar.split()[0]) > 0.92
