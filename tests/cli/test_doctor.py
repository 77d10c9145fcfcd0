from __future__ import annotations

import json
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.doctor import Finding, _hub


def test_the_doctor_names_versions_devices_disks_extras_and_encoders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline", "--json"]) in (0, 1)
    found = {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}
    for part in ("python", "sertk", "torch", "cpu", "disk here", "hub", "extra hf", "encoder logmel"):
        assert part in found, part
    assert found["sertk"]["state"] == "ok"
    assert {finding["state"] for finding in found.values()} <= {"ok", "missing", "trouble"}


def test_the_doctor_writes_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) in (0, 1)
    assert "encoder hf_speech" in capsys.readouterr().out


def test_a_hub_token_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (finding,) = _hub(offline=True)
    assert "a token is set" in finding.text
    assert "secret" not in finding.text


def test_checkpoints_of_the_cache_are_said_to_be_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra hf")
    from sertk.doctor import _checkpoints

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none"))
    assert [finding.state for finding in _checkpoints()] == ["missing"]

    for model, files in {
        "good": {"model.safetensors": "x", "config.json": '{"model_type": "wavlm"}'},
        "bad": {"README.md": "x"},
    }.items():
        commit = "0123456789012345678901234567890123456789"
        snapshot = tmp_path / f"models--lab--{model}" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (tmp_path / f"models--lab--{model}" / "refs").mkdir()
        (tmp_path / f"models--lab--{model}" / "refs" / "main").write_text(commit)
        for name, text in files.items():
            (snapshot / name).write_text(text)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    bad, good = _checkpoints()
    assert good == Finding("checkpoint lab/good", "ok", "wavlm, ready offline")
    assert bad.state == "missing"
    assert "config.json" in bad.text
