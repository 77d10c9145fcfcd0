"""What depends on the platform, and imports that need a remedy: torchaudio beside another torch, and transformers.

torchaudio's Linux wheels carry one library built for CUDA. Beside a CPU build of torch the import raises OSError,
beside a build for another CUDA RuntimeError, although everything sertk uses of torchaudio is plain Python. And
transformers >= 5.14 imports torchaudio wherever it is installed, so every model import would fail with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType
from typing import Any

from sertk.errors import EncoderError, PlatformError

_EXTENSION = "torchaudio._extension"


def require_posix(what: str) -> None:
    """Raise PlatformError where Python has no `fcntl`, which is on Windows, naming what does not work there."""
    if importlib.util.find_spec("fcntl") is None:
        raise PlatformError(
            f"{what} work on Linux and macOS only. On Windows use the Windows Subsystem for Linux. Without it, "
            "loading models and predicting in Python work."
        )


def import_torchaudio() -> ModuleType:
    """Import torchaudio, without its compiled extension where that does not match the installed torch.

    Without it `forced_align` and `rnnt_loss` raise RuntimeError; what is plain Python works. Raises EncoderError
    where torchaudio is not installed or does not import even so.
    """
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError as error:
        raise EncoderError(f"torchaudio cannot be imported ({error}): pip install torchaudio") from None
    except (OSError, RuntimeError, ImportError):
        _drop_half_loaded()
    sys.modules[_EXTENSION] = _stub()
    try:
        return importlib.import_module("torchaudio")
    except Exception as error:
        _drop_half_loaded()
        raise EncoderError(
            f"torchaudio does not import, even without its extension: {type(error).__name__}: {error}. "
            "Install the torchaudio that matches the installed torch."
        ) from error


def torchaudio_remedied() -> bool:
    """Whether torchaudio runs without its compiled extension, because it was built for another torch."""
    return isinstance(sys.modules.get(_EXTENSION), _Stub)


def import_transformers() -> ModuleType:
    """Import transformers, torchaudio's remedy first. Raises EncoderError where it is not installed."""
    # Advice and progress bars of a library are not for the reader of a recipe's log.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if importlib.util.find_spec("torchaudio") is not None:
        import_torchaudio()
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise EncoderError(f"transformers cannot be imported ({error}): pip install 'sertk[hf]'") from error


@contextmanager
def without_bars(transformers: ModuleType) -> Iterator[None]:
    """Keep transformers from drawing progress bars over a log while it reads or writes weights."""
    logging = transformers.utils.logging
    were_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_on:
            logging.enable_progress_bar()


class _Stub(ModuleType):
    """Stands in for `torchaudio._extension`, and is told apart from it."""


def _stub() -> ModuleType:
    stub: Any = _Stub(_EXTENSION, "In place of the compiled extension, which is built for another torch.")
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub._IS_ALIGN_AVAILABLE = False
    stub._check_cuda_version = lambda: None
    stub.fail_if_no_align = _fail_if_no_align
    return stub  # type: ignore[no-any-return]


def _fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"torchaudio's {function.__name__} needs its compiled extension, which does not match the installed "
            "torch: install the torchaudio that was built for it"
        )

    return refuse


def _drop_half_loaded() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]
