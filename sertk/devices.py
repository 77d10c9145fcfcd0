"""Where to compute."""

from __future__ import annotations

import torch

from sertk.errors import SertkError


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name (`cpu`, `cuda`, `cuda:1`, `mps`); `auto` takes the first GPU, else the CPU.

    Raises SertkError for a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SertkError(
            f"there is no device {name!r} here: {str(error).splitlines()[0]}. Use cpu or auto."
        ) from None
    return device
