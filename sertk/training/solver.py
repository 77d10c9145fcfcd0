"""Linear heads fitted at once: pooled features, a convex loss, and a penalty chosen on other speakers.

The result is an ordinary model: what is chosen and fitted here are the weights of its linear head.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet
from sertk.config.schema import Selection, Solver, Stage
from sertk.data.labels import LabelTable
from sertk.errors import ConfigError, Fault
from sertk.models.classifier import Classifier
from sertk.models.head import LinearHead
from sertk.training.evaluate import computed, score
from sertk.training.linear import Problem, Rows


@dataclass(frozen=True)
class Candidate:
    """One choice: the blocks of the fused vector that are read, and the penalty. score: on utterances left out."""

    subset: list[int]
    penalty: float
    score: float


@dataclass(frozen=True)
class Solved:
    """What a solver found. loss: of the part fitted on, without the penalty. steps: iterations of the last fit."""

    chosen: Candidate
    candidates: list[Candidate]
    loss: float
    steps: int
    utterances: int
    remarks: list[str]

    def row(self) -> dict[str, Any]:
        """What the history keeps of it."""
        return {
            "losses": {"total": self.loss},
            "steps": self.steps,
            "utterances": self.utterances,
            "score": self.chosen.score,
            "chosen": {"penalty": self.chosen.penalty, "blocks": self.chosen.subset},
            "candidates": [[each.subset, each.penalty, each.score] for each in self.candidates],
        }


def solve(
    classifier: Classifier, train: FeatureSet, dev: FeatureSet, stage: Stage, selection: Selection, *, seed: int
) -> Solved:
    """Fit the head of a classifier whose fusion has nothing to learn, and set its weights.

    Penalty and blocks are chosen by `selection` on the dev part, or on folds of the training speakers, each predicted
    by a model that was fitted without it; then the head is fitted on all. Ties go to the first subset, and to the
    larger penalty. seed: of the draws of `selection` alone. Raises ConfigError for a model that is not linear in what
    is learnt, and for folds without speakers; TrainingError for features that are not finite.
    """
    solver = stage.solver
    assert solver is not None  # the caller has seen to it
    head = linear_head(classifier, stage)
    width = head.emotion.in_features
    if width % solver.blocks:
        raise _fault(stage, "blocks", f"{solver.blocks} do not divide the fused vector of {width} values")
    part = FeatureSet(train.table.with_rows(dev.table), train.sources) if solver.with_dev else train
    device = next(head.parameters()).device
    inputs, outside = (
        computed(classifier.embeddings, data, batch_size=64, device=device, what="fused vectors")
        for data in (part, dev)
    )
    every, size = np.arange(len(part)), width // solver.blocks
    candidates: list[Candidate] = []
    chosen: tuple[Candidate, Problem, Tensor] | None = None
    for subset in solver.sets_of_blocks:
        columns = torch.cat([torch.arange(block * size, (block + 1) * size) for block in subset])
        problem = Problem(inputs[:, columns], part.table, stage.loss, head)
        if solver.folds is None:
            given, table = problem.predicted(outside[:, columns].double(), every, solver.penalties), dev.table
        else:
            given, table = (
                _out_of_fold(problem, speaker_folds_of(stage, part.table, seed), solver.penalties),
                part.table,
            )
        for penalty, posteriors in zip(solver.penalties, given, strict=True):
            candidates.append(Candidate(subset, penalty, score(posteriors, table, selection, seed)))
            if chosen is None or candidates[-1].score > chosen[0].score:
                chosen = candidates[-1], problem, columns
    assert chosen is not None  # there is a subset, and a penalty
    best, problem, columns = chosen
    weights = problem.fit(every, best.penalty, problem.nearly.get(best.penalty))
    _set_weights(head, problem.unrotated(weights), columns)
    loss = problem.loss(every, weights)
    return Solved(best, candidates, loss, problem.steps, len(part), _remarks(solver, best))


def linear_head(classifier: Classifier, stage: Stage) -> LinearHead:
    """The head of a model in which nothing else is learnt. Raises ConfigError for any other."""
    head = classifier.head
    if any(parameter.numel() for parameter in classifier.fusion.parameters()):
        raise _fault(
            stage, "use", "fits a linear head alone, and the fusion has weights to learn: use concat with means"
        )
    if not isinstance(head, LinearHead) or head.activation != "none":
        raise _fault(stage, "use", 'fits a linear head: set head.activation = "none"')
    return head


def _out_of_fold(problem: Problem, folds: Sequence[Rows], penalties: Sequence[float]) -> list[Tensor]:
    """For each penalty (N, C + A) posteriors, each row of a head that was fitted without its fold."""
    every = np.arange(len(problem.table))
    given = [torch.zeros(len(every), problem.outputs) for _ in penalties]
    for rows in folds:
        others = np.setdiff1d(every, rows)
        for whole, posteriors in zip(given, problem.left_out(rows, others, penalties), strict=True):
            whole[rows] = posteriors
    return given


def speaker_folds_of(stage: Stage, table: LabelTable, seed: int) -> list[Rows]:
    """The rows of each fold: whole speakers, classes spread as far as they allow."""
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    assert stage.solver is not None
    if None in table.speakers:
        unknown = table.speakers.count(None)
        raise _fault(stage, "folds", f"needs speakers, and those of {unknown} of {len(table)} utterances are unknown")
    speakers, count = np.array(table.speakers), len(set(table.speakers))
    wanted = count if stage.solver.folds == "speakers" else stage.solver.folds
    assert wanted is not None
    if wanted > count or count < 2:
        raise _fault(stage, "folds", f"{wanted} folds need as many speakers, the training part has {count}")
    cut: Any = LeaveOneGroupOut()
    if stage.solver.folds != "speakers":
        cut = StratifiedGroupKFold(wanted, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # some speakers lack it
        strata = table.targets.argmax(axis=1) if table.labels else np.zeros(len(table))
        return [np.asarray(rows) for _, rows in cut.split(speakers, strata, speakers)]


def _set_weights(head: LinearHead, weights: Tensor, columns: Tensor) -> None:
    """Give the head what was fitted: zero on the blocks that are not read."""
    whole = torch.zeros(len(weights), head.emotion.in_features, dtype=weights.dtype)
    whole[:, columns] = weights[:, :-1]
    classes = head.emotion.out_features
    with torch.no_grad():
        head.emotion.weight.copy_(whole[:classes])
        head.emotion.bias.copy_(weights[:classes, -1])
        if head.attributes is not None:
            head.attributes.weight.copy_(whole[classes:])
            head.attributes.bias.copy_(weights[classes:, -1])


def _remarks(solver: Solver, chosen: Candidate) -> list[str]:
    penalties = solver.penalties
    if len(penalties) < 2 or chosen.penalty not in (penalties[0], penalties[-1]):
        return []
    end = "largest" if chosen.penalty == penalties[0] else "smallest"
    return [f"the {end} penalty, {chosen.penalty:g}, was chosen: widen the list to see whether one beyond is better"]


def _fault(stage: Stage, key: str, message: str) -> ConfigError:
    return ConfigError("the experiment", [Fault(f"stage.{stage.name}.solver.{key}", message)])
