"""Where the real models and corpora are: in folders that the environment names, else the test is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder_of(variable: str, what: str) -> Path:
    """The folder that a variable of the environment names; skips the test where it is not set."""
    if not os.environ.get(variable):
        pytest.skip(f"needs {what}: set {variable}")
    return Path(os.environ[variable]).absolute()


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with whisper-base and whisper-tiny.en, which hub ids are looked up in."""
    folder = folder_of("SERTK_WEIGHTS", "a folder with whisper-base and whisper-tiny.en")
    monkeypatch.setenv("SERTK_MODELS", str(folder))
    return folder


@pytest.fixture
def cremad() -> Path:
    """CREMA-D: `audio/` and `metadata.csv`."""
    return folder_of("SERTK_CREMAD", "the folder of CREMA-D")


@pytest.fixture
def emodb() -> Path:
    """EMO-DB: `audio/` and `metadata.csv`."""
    return folder_of("SERTK_EMODB", "the folder of EMO-DB")
