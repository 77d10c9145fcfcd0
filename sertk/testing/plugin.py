"""Fixtures for pytest, found through its own entry point by every package that has sertk installed."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `manifest.jsonl.gz`, `features/{speech,words}` and `experiment.toml`. Not to be changed."""
    from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

    folder = tmp_path_factory.mktemp("sertk") / "tiny"
    write_tiny_corpus(folder)
    tiny_experiment(folder)
    return folder


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every plugin: only sertk's own components are seen."""
    monkeypatch.setenv("SERTK_PLUGINS", "")
