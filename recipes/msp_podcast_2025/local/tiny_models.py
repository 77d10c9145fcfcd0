"""Write tiny checkpoints of the architectures that the recipe reads, to try the whole of it without downloads.

    python local/tiny_models.py models/

Random weights: wavlm, hubert, whisper (which also transcribes), roberta and modernbert, some 200 kB each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sertk.testing.tiny_models import tiny_models

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path, help="gets a folder a checkpoint; what is there is kept")
parser.add_argument("--width", type=int, default=32, help="of the hidden states")
arguments = parser.parse_args()
for name, folder in tiny_models(arguments.folder, width=arguments.width).items():
    print(f"{name:<12}{folder}")
