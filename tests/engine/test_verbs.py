"""The verbs that share work out give what one process alone gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from sertk_msp_podcast.read import read_msp_podcast

from sertk.cli import main, output
from sertk.features.store import FeatureStore


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_parts_of_an_extraction_fill_the_store_that_one_process_fills(
    toy_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    manifest, _ = read_msp_podcast(toy_corpus, allow_partial=True)
    manifest.with_utterances(manifest.located()).write(tmp_path / "manifest.jsonl.gz")
    (tmp_path / "small.toml").write_text('[encoder]\nuse = "logmel"\nmels = 12\nstack = 10\n')
    words = ["extract", str(tmp_path / "small.toml"), "--manifest", str(tmp_path / "manifest.jsonl.gz")]
    assert main([*words, "--into", str(tmp_path / "one"), "--device", "cpu"]) == 0
    shared = [*words, "--into", str(tmp_path / "two"), "--device", "cpu", "--engine", engine, "--jobs", "2"]
    capsys.readouterr()
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    assert main(shared) == 0
    one, two = (FeatureStore.open(tmp_path / name / "small") for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    assert all(torch.allclose(one[id], two[id], atol=1e-3) for id in one)
    said = capsys.readouterr().out
    assert f"written {len(one)}  kept 0" in said
    # How far all parts are, with their rate and the time left.
    assert re.search(rf"^extract  {len(one)}/{len(one)}  [\d.]+ hours of audio an hour  left 0.0 s$", said, re.M)
    assert re.search(rf"^extract  {len(one)} in [\d.]+ s$", said, re.M)
    assert [path.name for path in (tmp_path / "two" / "small").glob(".*") if ".lock" not in path.name] == []
    assert main(shared) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("up to date")


def test_options_that_do_not_go_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["extract", "x.toml", "--manifest", "m.jsonl", "--into", str(tmp_path)]
    assert main([*words, "--jobs", "2", "--shard", "0/2"]) == 2
    assert main([*words, "--engine", "cloud"]) == 1
    assert "--engine is local or ray, got 'cloud'" in capsys.readouterr().err
