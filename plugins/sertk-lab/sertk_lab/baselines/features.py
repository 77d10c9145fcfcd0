"""What a baseline can listen to: for each choice the encoders, and how the linear member reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk import registry
from sertk.config.build import build
from sertk.config.files import load_encoder_file
from sertk.errors import SertkError, UsageError, did_you_mean


@dataclass(frozen=True)
class Choice:
    """Features by name. pooled, frames: encoder files, of one frame per utterance and of frames over time.

    blocks, subsets: the states that stand side by side in the pooled features, and sets of them to choose from.
    penalties: for the linear member to choose from. hint: how to get what it needs.
    """

    pooled: str
    frames: str
    penalties: str
    blocks: int = 1
    subsets: str = '"all"'
    hint: str = ""


WHISPER = """\
# {what}
[encoder]
use     = "hf_speech"
model   = "openai/whisper-base"
layers  = {layers}
context = "utterance"
"""
OPENSMILE = """\
# {what}
dtype = "{dtype}"

[encoder]
use      = "opensmile"
features = "{set}"
level    = "{level}"
"""
LLD = OPENSMILE.format(
    what="The 25 low-level descriptors of eGeMAPS, ten frames side by side: 250 values, 10 times a second.",
    dtype="float16",
    set="eGeMAPSv02",
    level="lld",
)
OPENSMILE_HINT = "It needs the plugin sertk-opensmile and openSMILE (non-commercial): pip install sertk-opensmile"

CHOICES: Mapping[str, Choice] = {
    "whisper": Choice(
        WHISPER.format(what="Every state of Whisper's encoder, as mean and deviation: 7 x 2 x 512.", layers='"all"')
        + 'pool    = "mean_std"\n',
        WHISPER.format(what="The third state of Whisper's encoder, 50 frames of 512 values per second.", layers="3"),
        "[0.003, 0.01, 0.03, 0.1, 0.3]",
        7,
        "[[1], [2], [3], [4], [5]]",
        "It needs openai/whisper-base (290 MB): `hf download openai/whisper-base --local-dir "
        "models/openai/whisper-base`, then `--models models`; without --models it comes from the hub by itself "
        "where that can be reached",
    ),
    "egemaps": Choice(
        OPENSMILE.format(
            what="The 88 functionals of eGeMAPS.", dtype="float32", set="eGeMAPSv02", level="functionals"
        ),
        f"{LLD}stack    = 10\n",
        "[0.001, 0.003, 0.01, 0.03, 0.1, 0.3]",
        hint=OPENSMILE_HINT,
    ),
    "compare": Choice(
        OPENSMILE.format(
            what="The 6,373 functionals of ComParE 2016.", dtype="float32", set="ComParE_2016", level="functionals"
        ),
        f"{LLD}stack    = 10\n",
        "[0.03, 0.1, 0.3, 1.0, 3.0]",
        hint=OPENSMILE_HINT,
    ),
    "logmel": Choice(
        "# 64 bands as mean and deviation over the recording.\n"
        '[encoder]\nuse       = "logmel"\nmels      = 64\nnormalise = "none"\npool      = "mean_std"\n',
        "# 64 bands, ten frames side by side: 640 values, 10 times a second. The level is kept.\n"
        '[encoder]\nuse       = "logmel"\nmels      = 64\nstack     = 10\nnormalise = "none"\n',
        "[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]",
    ),
}
DEFAULT = "whisper"


def choice(name: str) -> Choice:
    """Features by name. Raises UsageError for a name that there is not."""
    if name not in CHOICES:
        raise UsageError(
            f"--features {name}: {did_you_mean(name, CHOICES)}Choose {', '.join(CHOICES)}; logmel needs nothing"
        )
    return CHOICES[name]


def built_encoder(name: str, file: Path) -> Any:
    """An encoder of a choice, with its weights. Raises UsageError that says how to get what is missing."""
    try:
        return build(registry.encoders, load_encoder_file(file).encoder)
    except SertkError as error:
        raise UsageError(
            f"--features {name} cannot be used here: {error}\n  {CHOICES[name].hint or 'See above'}.\n"
            f"  --features logmel needs nothing."
        ) from error


def require_deepser() -> None:
    """Raise UsageError where the network's fusion is not installed."""
    try:
        registry.fusions.get("deepser")
    except SertkError as error:
        raise UsageError(
            f"the network cannot be built: {error}\n  pip install sertk-deepser, or leave it out: --no-deepser"
        ) from error
