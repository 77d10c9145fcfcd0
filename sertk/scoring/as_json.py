"""A score as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import METHOD, RULE
from sertk.scoring.score import Score


def score_as_dict(score: Score) -> dict[str, Any]:
    """JSON values, with how the intervals were made and what limits them."""
    made = {"method": METHOD, "resampled": score.resampled, "classes": RULE}
    return {
        **asdict(score),
        "metrics": {name: one.as_dict() for name, one in score.metrics.items()},
        "classes": [one.as_dict() for one in score.classes],
        "interval": made | {"level": LEVEL, "draws": score.draws, "seed": score.seed},
        "remarks": list(remarks(score)),
    }
