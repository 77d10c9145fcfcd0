"""What a system gets that does not listen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from sertk.scoring.chance import chance

NAMES, SUPPORT = ("angry", "happy", "sad", "never"), (60, 30, 10, 0)


def test_guesses_are_as_scikit_learn_scores_them() -> None:
    true = np.repeat(np.arange(3), SUPPORT[:3])
    rng = np.random.default_rng(5)
    guesses = [rng.permutation(true) for _ in range(2000)]
    macro = [f1_score(true, guess, average="macro") for guess in guesses]
    assert recall_score(true, guesses[0], average="macro") == pytest.approx(
        f1_score(true, guesses[0], average="macro")
    )
    found = chance(NAMES, SUPPORT)
    assert found.guess == pytest.approx(float(np.mean(macro)), abs=0.005)
    assert found.high == pytest.approx(float(np.quantile(macro, 0.975)), abs=0.01)


def test_the_most_common_class_alone_is_as_scikit_learn_scores_it() -> None:
    true = np.repeat(np.arange(3), SUPPORT[:3])
    macro = f1_score(true, np.zeros_like(true), average="macro", zero_division=0)
    assert (
        chance(NAMES, SUPPORT)
        .sentences()[0]
        .startswith(f"Always answering angry: macro-F1 {macro:.3f}, micro-F1 0.600, UAR 0.333")
    )


def test_a_corpus_of_one_class_is_guessed_right() -> None:
    found = chance(("angry", "sad"), (0, 7))
    assert (found.most, found.guess, found.high) == ("sad", 1.0, 1.0)
