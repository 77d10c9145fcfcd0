"""Run by `sertk convert` in a process of its own: pickled tensors to one safetensors file; the last line is JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Where trainers keep the weights among other things."""


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and the type of all else in it, by name."""
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    left_out: dict[str, str] = {}
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            left_out |= {str(key): type(value).__name__ for key, value in content.items() if key != name}
            content = content[name]
            break
    if not isinstance(content, Mapping):
        raise UnpicklingError(f"holds a {type(content).__name__}, not tensors by name")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    left_out |= {str(key): type(value).__name__ for key, value in content.items() if not isinstance(value, Tensor)}
    # Two names may share memory, which safetensors does not know.
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, left_out


def main(out: str, *files: str) -> dict[str, Any]:
    """Convert files into one; what was found, or the error."""
    tensors: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for file in files:
        try:
            found, others = read(Path(file))
        except UnpicklingError as error:
            first = str(error).strip().splitlines()
            return {"error": f"holds more than tensors, so it was not read: {first[0] if first else error!r}"}
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            return {"error": f"cannot be read: {type(error).__name__}: {error}"}
        if twice := tensors.keys() & found.keys():
            return {"error": f"{sorted(twice)[0]} is in two files"}
        tensors |= found
        left_out |= others
    if not tensors:
        return {"error": "holds no tensors"}
    save_file(tensors, out, metadata={"format": "pt"})
    return {"tensors": len(tensors), "left_out": left_out}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
