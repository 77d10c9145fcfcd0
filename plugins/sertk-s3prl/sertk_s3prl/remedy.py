"""s3prl 0.4.18 beside torchaudio >= 2.9, from which it wants two things that are gone.

`torchaudio.set_audio_backend` (called by modules as they are imported, with an effect on `torchaudio.load` alone) and
`torchaudio.sox_effects` (imported for the data augmentation of recipes that are not upstreams). Neither takes part in
turning a waveform into frames, so the first may do nothing and the second may refuse. Both are there only while s3prl
is imported and an upstream is made; a test says when they are no longer needed.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any, NoReturn

from sertk.compat import import_torchaudio

SOX = "torchaudio.sox_effects"


@contextmanager
def s3prl_at_work() -> Iterator[None]:
    """Let s3prl find what is gone from torchaudio, load no pickled code, and keep its remarks to itself."""
    torchaudio: Any = import_torchaudio()
    lacks_backend = not hasattr(torchaudio, "set_audio_backend")
    lacks_sox = not hasattr(torchaudio, "sox_effects")
    safely = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    with ExitStack() as stack:
        if lacks_backend:
            torchaudio.set_audio_backend = _no_backend
            stack.callback(delattr, torchaudio, "set_audio_backend")
        if lacks_sox:
            sys.modules[SOX] = torchaudio.sox_effects = _sox_effects()
            stack.callback(sys.modules.pop, SOX)
            stack.callback(delattr, torchaudio, "sox_effects")
        # Some of its builders ask torch to run whatever a checkpoint says; torch refuses when this is set.
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
        stack.callback(_restore, "TORCH_FORCE_WEIGHTS_ONLY_LOAD", safely)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        yield


def _no_backend(name: str | None = None) -> None:
    """Do nothing: there is no backend to choose any more."""


def _sox_effects() -> ModuleType:
    module: Any = ModuleType(SOX, "Gone from torchaudio since 2.9.")
    module.apply_effects_tensor = module.apply_effects_file = _refuse
    return module  # type: ignore[no-any-return]


def _refuse(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError("torchaudio.sox_effects is gone since torchaudio 2.9: use an older torchaudio, or sox itself")


def _restore(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value
