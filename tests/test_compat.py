from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from sertk.compat import import_torchaudio, import_transformers, torchaudio_remedied


def python(program: str) -> str:
    """What a fresh interpreter prints: imports are once a process, so each case needs its own."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchaudio_imports_and_resamples() -> None:
    import torch

    torchaudio = import_torchaudio()
    assert torchaudio.functional.resample(torch.ones(1, 1600), 16_000, 8_000).shape == (1, 800)
    assert import_torchaudio() is torchaudio


@pytest.mark.parametrize("error", ["OSError", "RuntimeError"])
def test_an_extension_that_does_not_load_is_replaced(error: str) -> None:
    program = f"""
        import ctypes, torch, torch.ops
        def refuse(path):
            raise {error}("built for another torch")
        torch.ops.load_library = refuse
        import sertk.compat as compat
        assert not compat.torchaudio_remedied()
        audio = compat.import_torchaudio()
        assert compat.torchaudio_remedied()
        try:
            audio.functional.forced_align(torch.zeros(1, 2, 3), torch.zeros(1, 1))
        except RuntimeError as said:
            print("forced_align" in str(said))
    """
    assert python(program) == "True"


def test_importing_compat_imports_nothing_heavy() -> None:
    assert (
        python("import sys, sertk.compat; print('torch' in sys.modules, 'torchaudio' in sys.modules)")
        == "False False"
    )


def test_transformers_models_import_after_the_remedy() -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hf")
    transformers = import_transformers()
    assert transformers.WavLMModel.__name__ == "WavLMModel"
    assert isinstance(torchaudio_remedied(), bool)
