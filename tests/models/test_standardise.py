from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sertk.config.files import load_experiment
from sertk.config.schema import Experiment, Head, Use
from sertk.experiment import new_classifier, run
from sertk.features.store import FeatureStore
from sertk.inputs import read_inputs
from sertk.models.classifier import build_classifier
from sertk.models.size import count_parameters
from sertk.models.standardise import LIMIT, Standardise
from sertk.tensors import Padded


def sequences(seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    scale, shift = torch.tensor([1e-3, 1.0, 1e4]), torch.tensor([5.0, -2.0, 1e6])
    return [torch.randn(length, 3, generator=random) * scale + shift for length in (4, 9, 1, 30)]


def test_the_training_frames_get_mean_0_and_deviation_1_whatever_their_scale() -> None:
    module = Standardise({"smile": 3})
    module.fit({"smile": iter(sequences())})
    padded = module({"smile": Padded.of(sequences())})["smile"]
    frames = padded.data[padded.mask]
    torch.testing.assert_close(frames.mean(0), torch.zeros(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(frames.std(0, correction=0), torch.ones(3), atol=1e-2, rtol=0)


def test_padding_stays_zero_and_an_utterance_does_not_depend_on_its_neighbours() -> None:
    module = Standardise({"smile": 3})
    module.fit({"smile": iter(sequences())})
    together = module({"smile": Padded.of(sequences())})["smile"]
    assert together.data[~together.mask].abs().max() == 0
    alone = module({"smile": Padded.of(sequences()[2:3])})["smile"]
    torch.testing.assert_close(together.data[2, :1], alone.data[0])


def test_a_value_that_never_moves_and_one_far_outside_stay_finite_and_within_the_limit() -> None:
    module = Standardise({"smile": 2})
    module.fit({"smile": iter([torch.tensor([[7.0, 0.0], [7.0, 1.0]])])})
    out = module({"smile": Padded.of([torch.tensor([[7.0, 1e9], [8.0, -1e9]])])})["smile"].data[0]
    torch.testing.assert_close(out, torch.tensor([[0.0, LIMIT], [1.0, -LIMIT]]))


def test_other_modalities_pass_unchanged_and_the_weights_carry_the_statistics() -> None:
    module = Standardise({"smile": 3})
    module.fit({"smile": iter(sequences())})
    words = Padded.of([torch.ones(2, 4)])
    batch = {"smile": Padded.of(sequences()[:1]), "words": words}
    assert module(batch)["words"] is words
    copy = Standardise({"smile": 3})
    copy.load_state_dict(module.state_dict())
    torch.testing.assert_close(copy(batch)["smile"].data, module(batch)["smile"].data)


def test_a_classifier_standardises_before_its_fusion() -> None:
    model = build_classifier(
        Use(use="concat"), Head(), dims={"a.b": 3}, classes=2, ranges=[], seed=1, standardise=["a.b"]
    ).eval()
    assert model.scale is not None
    model.scale.fit({"a.b": iter(sequences())})
    batch = {"a.b": Padded.of(sequences())}
    torch.testing.assert_close(model.fuse(batch), model.fusion(model.scaled(batch)))
    assert model.fuse(batch).abs().max() < LIMIT


def test_an_experiment_may_only_standardise_what_it_reads() -> None:
    with pytest.raises(ValueError, match="no modality 'smiles'"):
        Experiment.model_validate(
            {
                "data": {"manifest": "m"},
                "features": {"smile": "f"},
                "standardise": ["smiles"],
                "fusion": {"use": "late"},
            }
        )


def test_training_fits_each_modality_on_the_training_part_alone_and_saves_what_it_measured(
    tiny_store: Path, tmp_path: Path
) -> None:
    experiment = load_experiment(tiny_store / "experiment.toml", ['standardise=["speech", "words"]'])
    model = run(experiment, tmp_path / "model").classifier()
    store, train = FeatureStore.open(tiny_store / "features" / "words"), read_inputs(experiment).train
    frames = torch.cat([store[id] for id in train.table.ids]).float()
    assert model.scale is not None
    torch.testing.assert_close(model.scale.get_buffer("mean1"), frames.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.scale.get_buffer("std1"), frames.std(0, correction=0), atol=1e-4, rtol=1e-4)


def test_a_model_that_standardises_can_be_counted_without_being_measured(tiny_store: Path) -> None:
    experiment = load_experiment(tiny_store / "experiment.toml", ['standardise=["words"]'])
    with torch.device("meta"):
        model = new_classifier(experiment, read_inputs(experiment))
    assert count_parameters(model) == sum(parameter.numel() for parameter in model.parameters())
