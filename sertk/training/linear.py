"""The best linear head on fixed features, by L-BFGS in float64: the loss of a stage and a penalty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sertk import registry
from sertk.batching.collate import targets_of
from sertk.config.build import build
from sertk.config.schema import LossTerm
from sertk.data.labels import LabelTable
from sertk.errors import TrainingError
from sertk.models.head import LinearHead
from sertk.tensors import Outputs, Targets

ITERATIONS = 2000
"""At most; a few hundred are usual."""
SMALLEST_GRADIENT = 1e-6
"""Where a fit ends: the largest part of the gradient."""
TO_CHOOSE = 1e-4
"""Where a fit ends that only a choice is made by, as scikit-learn's do; features are in float32 then."""
Rows = NDArray[np.int64]


class Problem:
    """The stage's loss of a linear head on features X (N, D), as a function of its weights (K, D + 1), bias last.

    Where D is above N, X is turned into the N dimensions that it spans: neither loss nor penalty changes, and a fit
    takes a fraction of the time.
    """

    def __init__(self, features: Tensor, table: LabelTable, terms: Sequence[LossTerm], head: LinearHead) -> None:
        self.table = table
        self.terms = terms
        self.head = head
        self.targets = targets_of(table, range(len(table)))
        self.steps = 0
        self.nearly: dict[float, Tensor] = {}  # fits to all rows that a choice was made by, by penalty
        self.turn: Tensor | None = None
        self.features = features.double()
        if features.shape[1] > features.shape[0]:
            self.turn, triangle = torch.linalg.qr(self.features.T)  # (D, N), (N, N)
            self.features = triangle.T.contiguous()

    def predicted(self, features: Tensor, rows: Rows, penalties: Sequence[float]) -> list[Tensor]:
        """(M, C + A) posteriors of other utterances, for each penalty, of a head fitted on some rows."""
        turned = features if self.turn is None else features @ self.turn
        return [self._posteriors(turned, weights) for weights in self._path(rows, penalties)]

    def left_out(self, rows: Rows, others: Rows, penalties: Sequence[float]) -> list[Tensor]:
        """The posteriors of some rows, for each penalty, of a head fitted on others."""
        return [self._posteriors(self.features[rows], weights) for weights in self._path(others, penalties)]

    def fit(
        self, rows: Rows, penalty: float, start: Tensor | None = None, *, until: float = SMALLEST_GRADIENT
    ) -> Tensor:
        """(K, D + 1) weights that minimise loss and penalty over some rows."""
        from scipy.optimize import minimize  # takes as long to import as much of the rest

        features, terms = self.features[rows], self._terms(rows)
        penalties = penalty * self._units(terms)  # (K, 1)
        if until >= TO_CHOOSE:
            features = features.float()
        shape = (self.outputs, features.shape[1] + 1)
        targets = Targets(self.targets.emotion[rows].double(), self.targets.attributes[rows].double())

        def value(flat: Any) -> tuple[float, Any]:
            weights = torch.from_numpy(flat).reshape(shape).requires_grad_()
            squares = (penalties * weights[:, :-1].square()).sum()
            total = self._loss(features, targets, weights, terms) + squares / 2
            gradient = torch.autograd.grad(total, weights)[0]
            return total.item(), gradient.reshape(-1).numpy()

        first = np.zeros(shape[0] * shape[1]) if start is None else start.reshape(-1).numpy()
        options: Any = {"maxiter": ITERATIONS, "gtol": until, "ftol": 0.0}
        found: Any = minimize(value, first, jac=True, method="L-BFGS-B", options=options)
        if not np.isfinite(found.fun):
            raise TrainingError(
                f"the loss with penalty {penalty:g} is not finite: is there a loss that is not convex?"
            )
        self.steps = int(found.nit)
        return torch.from_numpy(found.x).reshape(shape)

    def loss(self, rows: Rows, weights: Tensor) -> float:
        """The loss of some rows, without the penalty."""
        targets = Targets(self.targets.emotion[rows].double(), self.targets.attributes[rows].double())
        return self._loss(self.features[rows], targets, weights, self._terms(rows)).item()

    def unrotated(self, weights: Tensor) -> Tensor:
        """Weights as the features came."""
        return weights if self.turn is None else torch.cat([weights[:, :-1] @ self.turn.T, weights[:, -1:]], dim=1)

    def _path(self, rows: Rows, penalties: Sequence[float]) -> Iterator[Tensor]:
        """A fit for each penalty, from the largest; each starts where the one before ended."""
        weights: Tensor | None = None
        for penalty in penalties:
            weights = self.fit(rows, penalty, weights, until=TO_CHOOSE)
            if len(rows) == len(self.table):
                self.nearly[penalty] = weights
            yield weights

    @property
    def outputs(self) -> int:
        """K = C + A."""
        return len(self.table.labels) + len(self.table.attribute_names)

    def _terms(self, rows: Rows) -> list[tuple[float, Any]]:
        table = self.table.take(rows)
        return [(term.weight, build(registry.losses, term, table)) for term in self.terms]

    def _units(self, terms: list[tuple[float, Any]]) -> Tensor:
        """(K, 1) factors of the penalty: 1 for classes, and for attributes the weight of their loss.

        So attributes have the ridge regression of that penalty, whatever their unit and the weight of their loss.
        """
        rows, classes = len(self.table), len(self.table.labels)
        asked = Outputs(torch.zeros(rows, classes), torch.zeros(rows, self.outputs - classes, requires_grad=True))
        read = sum(weight for weight, loss in terms if loss(asked, self.targets).requires_grad)
        units = torch.ones(self.outputs, 1, dtype=torch.float64)
        units[classes:] = read or 1.0
        return units

    def _loss(self, features: Tensor, targets: Targets, weights: Tensor, terms: list[tuple[float, Any]]) -> Tensor:
        outputs = self._given(features, weights)
        return torch.stack([weight * loss(outputs, targets) for weight, loss in terms]).sum()

    def _given(self, features: Tensor, weights: Tensor) -> Outputs:
        """What the head says: its own rule for attributes, its weights as given."""
        # With features as the right factor, and in their own precision: several times faster for few outputs.
        values = (weights[:, :-1].to(features.dtype) @ features.T).T.double() + weights[:, -1]  # (N, K)
        classes = len(self.table.labels)
        return Outputs(values[:, :classes], self.head.scaled(values[:, classes:]))

    def _posteriors(self, features: Tensor, weights: Tensor) -> Tensor:
        return self._given(features, weights).posteriors
