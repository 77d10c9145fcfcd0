"""What an experiment file may say, checked strictly. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from sertk.data.labels import OtherPolicy, TargetPolicy

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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


class Optimizer(Use):
    """An optimizer; AdamW where `use` is left out."""

    use: str = "adamw"


class LossTerm(Use):
    """A loss with the weight that it has in the sum."""

    weight: float = Field(default=1.0, ge=0)


class Data(Section):
    """Which utterances, and how their votes become targets. split names are those of the manifest."""

    manifest: str
    """Path of the manifest, *.jsonl or *.jsonl.gz."""
    train: str | list[str] = "train"
    """The split, or splits, trained on."""
    dev: str = "held_out"
    """The split that chooses epochs."""
    targets: TargetPolicy = "soft"
    """`soft`: shares of the votes; `majority`: the consensus as one-hot."""
    other: OtherPolicy = "drop"
    """Votes outside the label set: left out, or spread over all classes."""


class Head(Section):
    """From the fused vector to emotion logits and attributes. attribute_output: within the range, or unbounded."""

    kind: Literal["linear", "identity"] = "linear"
    """`linear`: layers that are learnt; `identity`: what `posterior_mean` gives is passed on."""
    attributes: list[str] = []
    """Those to predict, of the manifest."""
    activation: Literal["relu", "none"] = "relu"
    """Before the last linear maps."""
    attribute_output: Literal["sigmoid", "linear"] = "sigmoid"


class Solver(Section):
    """Fits the head to the whole training part at once: a convex problem with one solution, so nothing is drawn.

    Minimises loss + penalty / 2 |W|^2 for weights W of a linear head; those of attributes count by their loss.
    """

    use: Literal["lbfgs"] = "lbfgs"
    """L-BFGS, until the gradient vanishes."""
    penalty: Penalty | Annotated[list[Penalty], Field(min_length=1)] = [0.01, 0.03, 0.1, 0.3, 1.0]
    """One, or several to choose from by `selection`."""
    blocks: Positive = 1
    """Equal parts of the fused vector, such as the states of an encoder that stand side by side."""
    subsets: Literal["all", "each"] | Annotated[list[list[Count]], Field(min_length=1)] = "all"
    """Blocks to read, by number from 0: all, the best of `each`, or the best of some sets of them."""
    folds: Annotated[int, Field(ge=2)] | Literal["speakers"] | None = None
    """Choose by so many folds of the training speakers, or leaving each of them out, in place of the dev part."""
    with_dev: bool = False
    """Fit on the dev part too: for choices by folds, which leave it free."""

    _by_name = model_validator(mode="before")(lambda given: {"use": given} if isinstance(given, str) else given)

    @model_validator(mode="after")
    def _consistent(self) -> Solver:
        if isinstance(self.subsets, list):
            for subset in self.subsets:
                if not subset or len(set(subset)) != len(subset) or max(subset) >= self.blocks:
                    raise ValueError(f"subsets: {subset} should be distinct numbers from 0 to {self.blocks - 1}")
        if self.with_dev and self.folds is None:
            raise ValueError('with_dev: the dev part chooses, so it cannot be fitted on; set folds = "speakers"')
        return self

    @property
    def penalties(self) -> list[float]:
        """All of them, the largest first."""
        return sorted(set(self.penalty if isinstance(self.penalty, list) else [self.penalty]), reverse=True)

    @property
    def sets_of_blocks(self) -> list[list[int]]:
        """The subsets to choose from."""
        if isinstance(self.subsets, list):
            return [sorted(subset) for subset in self.subsets]
        return [[*range(self.blocks)]] if self.subsets == "all" else [[block] for block in range(self.blocks)]


OF_EPOCHS = ("epochs", "patience", "sampler", "optimizer", "regularizers", "accumulate", "clip_norm")  # no solver's


class Stage(Section):
    """One call of the training loop. patience: epochs without a better score before it stops; none: never."""

    name: str
    """Told apart by it: `--set stage.NAME.epochs=5`."""
    epochs: Positive = 1
    """At most; needed unless there is a solver."""
    solver: Solver | None = None
    """Fits a linear head without epochs."""
    patience: Positive | None = None
    sampler: Use = Use(use="shuffle")
    """What makes the batches of an epoch."""
    optimizer: Optimizer = Optimizer()
    """Makes the steps. Each stage starts a new one."""
    regularizers: list[Use] = []
    """In this order."""
    loss: list[LossTerm] = [LossTerm(use="cross_entropy")]
    """The terms of the weighted sum."""
    accumulate: Positive = 1
    """Batches to one step of the optimizer."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of all gradients together; without it none."""

    @model_validator(mode="after")
    def _epochs_or_a_solver(self) -> Stage:
        if self.solver is None and "epochs" not in self.model_fields_set:
            raise ValueError("epochs is missing: a stage has epochs, or a solver")
        if self.solver and (unused := [key for key in OF_EPOCHS if key in self.model_fields_set]):
            raise ValueError(f"{', '.join(unused)}: a stage with a solver has none")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: Callable[[Stage], dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if self.solver is None or key not in OF_EPOCHS}


class Selection(Section):
    """How the best epoch is chosen: mean macro-F1 over balanced draws of the dev consensus utterances."""

    metric: Literal["balanced_macro_f1", "macro_f1", "uar", "mean_ccc"] = "balanced_macro_f1"
    """What the best epoch is best in."""
    draws: Positive = 10
    """Of `balanced_macro_f1`."""


class Compute(Section):
    """Where and how precisely. threads: 0 leaves torch's own choice. compile: the fusion, by torch.compile."""

    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the first GPU, else the CPU."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of training: inference is always in float32, and weights stay so."""
    threads: Count = 0
    compile: bool = False
    eval_batch_size: Positive = 64
    """Utterances in a batch, where nothing is trained."""


class Experiment(Section):
    """One model: data, features, fusion, head and the stages that train it."""

    seed: Count = 1
    """All draws but those of the first weights."""
    init_seed: Count = 1
    """The first weights."""
    data: Data
    """What to train on."""
    features: dict[str, str]
    """Modality name to the folder of its feature store."""
    standardise: list[str] = []
    """Modalities that the model standardises by the mean and deviation of the training part."""
    standardise_by: Literal["speaker", "corpus"] | None = None
    """By the own recordings of each speaker, or of each corpus of a merged manifest, without labels."""
    fusion: Use
    """From features to one vector an utterance."""
    head: Head = Head()
    """From that vector to answers."""
    stage: list[Stage] = []
    """In order; none for models that are not trained."""
    selection: Selection = Selection()
    """How the best epoch is chosen."""
    compute: Compute = Compute()
    """Where and how precisely."""

    @model_validator(mode="after")
    def _something_to_read(self) -> Experiment:
        if not self.features:
            raise ValueError("features: name at least one modality and the folder of its store")
        for name in self.standardise:
            if name not in self.features:
                raise ValueError(f"standardise: there is no modality {name!r}; features: {', '.join(self.features)}")
        if self.standardise_by and not self.standardise:
            raise ValueError("standardise_by: name the modalities in standardise")
        names = [stage.name for stage in self.stage]
        if len(set(names)) != len(names):
            raise ValueError(f"stage names must differ, got {names}")
        return self


class EncoderFile(Section):
    """What `sertk extract` reads: an encoder and how its output is stored."""

    encoder: Use
    """An encoder and its options."""
    dtype: Literal["float16", "bfloat16", "float32", "int8"] = "float16"
    """What is stored; int8 with a scale."""


class Guidance(Section):
    """For users, on the card. licence: also of the data. limits: what it is not for. unsure_below: a probability."""

    licence: str | None = None
    limits: str | None = None
    unsure_below: Annotated[float, Field(gt=0, lt=1)] | None = None


class Combination(Section):
    """What `sertk combine` reads: an aggregator, the data it is fitted on, and its members."""

    aggregator: Use
    """An aggregator and its options."""
    data: Data
    """Manifest, targets and training split."""
    fit: str = "held_out"
    """The split that the aggregator is fitted on."""
    guidance: Guidance = Guidance()
    """For whoever uses the model."""
    seed: Count = 1
    """Kept with the model; aggregators that draw have seeds of their own."""
