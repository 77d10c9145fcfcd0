"""The metrics that tables show, in their order, with the names that people read."""

from __future__ import annotations

METRIC_NAMES = {
    "macro_f1": "macro-F1",
    "balanced_macro_f1": "balanced macro-F1",
    "micro_f1": "micro-F1",
    "uar": "UAR",
    "accuracy": "accuracy",
    "soft_f1": "soft F1",
    "js_divergence": "JS (bits)",
    "ece": "ECE",
    "brier": "Brier",
    "mean_ccc": "mean CCC",
}


def metric_names(*without: str) -> dict[str, str]:
    """The names of all metrics but some."""
    return {metric: name for metric, name in METRIC_NAMES.items() if metric not in without}
