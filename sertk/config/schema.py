"""What an experiment file may say, checked strictly. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sertk.data.labels import OtherPolicy, TargetPolicy

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A table of a TOML file: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Use(BaseModel):
    """A component by its registered name; all other keys are its options."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    use: str

    @property
    def options(self) -> dict[str, Any]:
        """The component's options as written."""
        return dict(self.model_extra or {})


class LossTerm(Use):
    """A loss with the weight that it has in the sum."""

    weight: float = Field(default=1.0, ge=0)


class Data(Section):
    """Which utterances, and how their votes become targets. split names are those of the manifest."""

    manifest: str
    train: str | list[str] = "train"
    dev: str = "held_out"
    targets: TargetPolicy = "soft"
    other: OtherPolicy = "drop"
    folds: Positive | None = None
    """Train on all but one of this many speaker-disjoint folds of `train`, for out-of-fold posteriors."""
    fold: Count = 0

    @model_validator(mode="after")
    def _fold_exists(self) -> Data:
        if self.folds is not None and not (self.folds >= 2 and self.fold < self.folds):
            raise ValueError(f"fold {self.fold} of {self.folds}: needs folds >= 2 and fold < folds")
        return self


class Head(Section):
    """From the fused vector to emotion logits and attributes. attribute_output: within the range, or unbounded."""

    kind: Literal["linear", "identity"] = "linear"
    attributes: list[str] = []
    activation: Literal["relu", "none"] = "relu"
    attribute_output: Literal["sigmoid", "linear"] = "sigmoid"


class Optimizer(Section):
    """AdamW, MEDUSA's optimizer. fused: one kernel for all parameters."""

    lr: float = Field(default=1e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = Field(default=(0.9, 0.999), strict=False)
    fused: bool = True


class Stage(Section):
    """One call of the training loop. patience: epochs without a better score before it stops; none: never."""

    name: str
    epochs: Positive
    patience: Positive | None = None
    sampler: Use = Use(use="shuffle")
    optimizer: Optimizer = Optimizer()
    regularizers: list[Use] = []
    loss: list[LossTerm] = [LossTerm(use="cross_entropy")]
    accumulate: Positive = 1
    clip_norm: float | None = Field(default=None, gt=0)


class Selection(Section):
    """How the best epoch is chosen: mean macro-F1 over balanced draws of the dev consensus utterances."""

    metric: Literal["balanced_macro_f1", "macro_f1", "uar", "mean_ccc"] = "balanced_macro_f1"
    draws: Positive = 10


class Compute(Section):
    """Where and how precisely. threads: 0 leaves torch's own choice. compile: the fusion, by torch.compile."""

    device: str = "auto"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    threads: Count = 0
    compile: bool = False
    eval_batch_size: Positive = 64


class Experiment(Section):
    """One model: data, features, fusion, head and the stages that train it."""

    seed: Count = 1
    init_seed: Count = 1
    data: Data
    features: dict[str, str]
    """Modality name to the folder of its feature store."""
    standardise: list[str] = []
    """Modalities that the model standardises by the mean and deviation of the training part."""
    fusion: Use
    head: Head = Head()
    stage: list[Stage] = []
    selection: Selection = Selection()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _something_to_read(self) -> Experiment:
        if not self.features:
            raise ValueError("features: name at least one modality and the folder of its store")
        for name in self.standardise:
            if name not in self.features:
                raise ValueError(f"standardise: there is no modality {name!r}; features: {', '.join(self.features)}")
        names = [stage.name for stage in self.stage]
        if len(set(names)) != len(names):
            raise ValueError(f"stage names must differ, got {names}")
        return self


class EncoderFile(Section):
    """What `sertk extract` reads: an encoder and how its output is stored."""

    encoder: Use
    dtype: Literal["float16", "bfloat16", "float32", "int8"] = "float16"


class Combination(Section):
    """What `sertk combine` reads: an aggregator, the data it is fitted on, and its members."""

    aggregator: Use
    data: Data
    fit: str = "held_out"
    """The split that the aggregator is fitted on."""
    seed: Count = 1


def config_path(path: str, *, relative_to: Path) -> Path:
    """A path written in a file, taken from where the recipe runs unless absolute."""
    return Path(path) if Path(path).is_absolute() else relative_to / path
