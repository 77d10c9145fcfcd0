from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny checkpoint by name, built when it is first asked for: `wavlm`, `wavlm-group`, ..."""
    pytest.importorskip("transformers", reason="needs the extra hf")
    from sertk.testing import tiny_models

    root = tmp_path_factory.mktemp("tiny")

    def build(name: str) -> Path:
        folder = root / name
        if folder.exists():
            return folder
        if name == "whisper":
            return tiny_models.tiny_whisper(folder)
        if name == "roberta":
            return tiny_models.tiny_roberta(folder)
        if name == "modernbert":
            return tiny_models.tiny_modernbert(folder)
        if name.endswith("-group"):
            return tiny_models.tiny_speech(folder, name.removesuffix("-group"), norm="group")  # type: ignore[arg-type]
        return tiny_models.tiny_speech(folder, name)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def speech() -> Callable[..., Recording]:
    """A recording of noise that swells and fades, of so many samples at 16 kHz."""

    def make(samples: int, seed: int = 0, text: str | None = None) -> Recording:
        noise = np.random.default_rng(seed).standard_normal(samples)
        swell = 0.2 + 0.1 * np.sin(np.arange(samples) / 700)
        wave = (noise * swell).clip(-1, 1).astype(np.float32)
        return Recording(Utterance(f"u{seed}", "none.wav", text=text), {16_000: wave})

    return make
