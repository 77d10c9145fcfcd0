"""Checkpoints as they are published, built at random: their settings and key names, in small."""

# Longer than others: five published heads, each written out apart from the plugin's code, in the one shared file.

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from sertk.compat import import_transformers

transformers = import_transformers()
transformers.utils.logging.disable_progress_bar()

WIDTH, LAYERS, HIDDEN = 32, 3, 24
FOUR = {"0": "neu", "1": "hap", "2": "ang", "3": "sad"}
RAVDESS = dict(enumerate(["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]))
SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 2 * WIDTH,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 2,
}
CONFIGS = {"wav2vec2": "Wav2Vec2Config", "hubert": "HubertConfig", "wavlm": "WavLMConfig"}
MODELS = {"wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel", "wavlm": "WavLMModel"}
MODELS |= {"data2vec-audio": "Data2VecAudioModel"}

Samples = NDArray[np.float32]
Plain = Callable[[Path, Samples], list[float]]
"""A published head written out: probabilities of classes, then attributes, of one recording."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on disk. options: what only a user knows. plain: its answers, computed without sertk."""

    folder: Path
    plain: Plain
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Its tensors."""
        return load_file(self.folder / "model.safetensors")


def speech_config(architecture: str, *, large: bool, **more: Any) -> Any:
    """As the large checkpoints (layer norm, bias, normalised waveforms) or the base ones."""
    if architecture == "data2vec-audio":
        return transformers.Data2VecAudioConfig(**SHAPE, **more)
    return getattr(transformers, CONFIGS[architecture])(
        **SHAPE,
        num_conv_pos_embeddings=32,
        feat_extract_norm="layer" if large else "group",
        do_stable_layer_norm=large,
        conv_bias=large,
        **more,
    )


def whisper_config(**more: Any) -> Any:
    """Of an encoder; the decoder is as small as can be."""
    return transformers.WhisperConfig(
        d_model=WIDTH,
        encoder_layers=LAYERS,
        num_hidden_layers=LAYERS,
        encoder_attention_heads=2,
        encoder_ffn_dim=2 * WIDTH,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=WIDTH,
        vocab_size=64,
        max_target_positions=8,
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 1},
        **more,
    )


def save_extractor(folder: Path, config: Any, *, normalise: bool) -> None:
    """Write preprocessor_config.json."""
    if config.model_type == "whisper":
        chunk = config.max_source_positions // 50
        transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=chunk).save_pretrained(folder)
    else:
        transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)


def save(folder: Path, tensors: Mapping[str, Tensor], config: Any, more: Mapping[str, Any]) -> None:
    """Write weights and config.json, with what a configuration of transformers would not keep."""
    folder.mkdir(parents=True, exist_ok=True)
    written = config if isinstance(config, dict) else json.loads(config.to_json_string(use_diff=False))
    (folder / "config.json").write_text(json.dumps({**written, **more}))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")


def encoder_tensors(config: Any, prefix: str, *, earlier_names: bool = False) -> dict[str, Tensor]:
    """Tensors of a random encoder. earlier_names: of weight normalisation, as torch named it up to 2.1."""
    torch.manual_seed(3)
    if config.model_type == "whisper":
        model = transformers.WhisperModel(config)
    else:
        model = getattr(transformers, MODELS[config.model_type])(config)
    found = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}
    if earlier_names:
        found = {
            name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): tensor
            for name, tensor in found.items()
        }
    return found


def drawn(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    """Random tensors by name, in which two underscores are a dot; large, so that answers are sure."""
    generator = torch.Generator().manual_seed(5)
    return {name.replace("__", "."): torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def states(folder: Path, prefix: str, samples: Samples, config: Any, *, normalise: bool) -> tuple[Tensor, ...]:
    """All states of an encoder, (T, D) each, by transformers alone; the last one is the output."""
    tensors = {
        name.removeprefix(prefix)
        .replace("weight_g", "parametrizations.weight.original0")
        .replace("weight_v", "parametrizations.weight.original1"): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
        if name.startswith(prefix)
    }
    model = getattr(transformers, MODELS[config.model_type])(config).eval()
    model.load_state_dict(tensors, strict=False)
    wave = torch.from_numpy(samples)
    if normalise:
        wave = (wave - wave.mean()) / (wave.var(correction=0) + 1e-7).sqrt()
    with torch.no_grad():
        found = model(wave[None], output_hidden_states=True)
    return (*(state[0] for state in found.hidden_states[:-1]), found.last_hidden_state[0])


def softmax(logits: Tensor) -> list[float]:
    """Probabilities."""
    return logits.softmax(-1).tolist()


def linear(weights: Mapping[str, Tensor], name: str, vector: Tensor) -> Tensor:
    """W x + b."""
    return F.linear(vector, weights[f"{name}.weight"], weights[f"{name}.bias"])


def stock_of(folder: Path, architecture: str, *, large: bool, mixed: bool, seed: int = 0) -> Published:
    """`*ForSequenceClassification`, as transformers saves it."""
    config = speech_config(
        architecture,
        large=large,
        classifier_proj_size=HIDDEN,
        use_weighted_layer_sum=mixed,
        id2label={int(key): label for key, label in FOUR.items()},
        label2id={label: int(key) for key, label in FOUR.items()},
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForAudioClassification.from_config(config).eval()
    with torch.no_grad():
        model.classifier.weight.copy_(torch.randn_like(model.classifier.weight) * 3)
        if mixed:
            model.layer_weights.copy_(torch.randn_like(model.layer_weights))
    model.save_pretrained(folder)
    save_extractor(folder, config, normalise=large)
    prefix = {"data2vec-audio": "data2vec_audio."}.get(architecture, f"{architecture}.")

    def plain(folder: Path, samples: Samples) -> list[float]:
        weights = load_file(folder / "model.safetensors")
        found = states(folder, prefix, samples, config, normalise=large)
        frames = found[-1]
        if mixed:
            shares = weights["layer_weights"].softmax(0)
            frames = sum((share * state for share, state in zip(shares, found, strict=True)), torch.zeros(()))
        return softmax(linear(weights, "classifier", linear(weights, "projector", frames).mean(0)))

    return Published(folder, plain)


def stock_whisper(folder: Path) -> Published:
    """`WhisperForAudioClassification`, whose mean is over the whole window."""
    names = ["Angry", "Disgust", "Fearful", "Happy", "Neutral", "Sad", "Surprised"]
    config = whisper_config(classifier_proj_size=HIDDEN, id2label=dict(enumerate(names)))
    torch.manual_seed(2)
    model = transformers.WhisperForAudioClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.copy_(torch.randn_like(model.classifier.weight) * 3)
    model.save_pretrained(folder)
    save_extractor(folder, config, normalise=False)

    def plain(folder: Path, samples: Samples) -> list[float]:
        model = transformers.WhisperForAudioClassification.from_pretrained(folder).eval()
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
        with torch.no_grad():
            return softmax(model(**extractor(samples, sampling_rate=16_000, return_tensors="pt")).logits[0])

    return Published(folder, plain)


def dense_head(
    folder: Path,
    architecture: str,
    *,
    last: str,
    labels: Mapping[Any, str],
    pooling: str | None,
    tanh: bool,
    large: bool = True,
    attributes: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Published:
    """A dense layer, perhaps a tanh, and a last layer, on pooled frames."""
    config = speech_config(architecture, large=large)
    prefix = f"{architecture}."
    count = len(labels)
    head = drawn(
        classifier__dense__weight=(WIDTH, WIDTH),
        classifier__dense__bias=(WIDTH,),
        **{f"classifier__{last}__weight": (count, WIDTH), f"classifier__{last}__bias": (count,)},
    )
    if attributes:
        head = {name: tensor * 0.1 for name, tensor in head.items()}
    settings = {
        "id2label": {str(key): label for key, label in labels.items()},
        "num_labels": None,
        "vocab_size": None,
    }
    settings |= {"architectures": ["Wav2Vec2ForSpeechClassification"], "finetuning_task": "wav2vec2_reg"}
    settings |= {"pooling_mode": pooling} if pooling else {}
    save(folder, encoder_tensors(config, prefix) | head, config, settings)
    save_extractor(folder, config, normalise=large)

    def plain(folder: Path, samples: Samples) -> list[float]:
        weights = load_file(folder / "model.safetensors")
        frames = states(folder, prefix, samples, config, normalise=large)[-1]
        pooled = {"mean": frames.mean(0), "max": frames.max(0).values, "sum": frames.sum(0)}[pooling or "mean"]
        dense = linear(weights, "classifier.dense", pooled)
        out = linear(weights, f"classifier.{last}", torch.tanh(dense) if tanh else dense)
        return out.tolist() if attributes else softmax(out)

    return Published(folder, plain, options or {})


def odyssey(folder: Path, labels: list[str], *, layers: int, attributes: bool = False) -> Published:
    """`ssl_model`, `pool_model`, `ser_model`; settings of the encoder are those of another checkpoint."""
    config = speech_config("wavlm", large=True)
    base = folder.with_name(f"{folder.name}-base")
    save(base, {}, config, {})
    save_extractor(base, config, normalise=True)
    shapes: dict[str, tuple[int, ...]] = {
        "pool_model__sap_linear__weight": (WIDTH, WIDTH),
        "pool_model__sap_linear__bias": (WIDTH,),
        "pool_model__attention": (WIDTH, 1),
        "ser_model__out__0__weight": (len(labels), HIDDEN),
        "ser_model__out__0__bias": (len(labels),),
    }
    for n in range(layers):
        shapes |= {f"ser_model__fc__{n}__0__weight": (HIDDEN, HIDDEN if n else 2 * WIDTH)}
        shapes |= {f"ser_model__fc__{n}__{part}": (HIDDEN,) for part in ("0__bias", "1__weight", "1__bias")}
    settings = {"model_type": "ser", "ssl_type": "microsoft/wavlm-large", "hidden_size": HIDDEN, "num_classes": 8}
    settings |= {"classifier_hidden_layers": layers, "classifier_dropout_prob": 0.5, "sampling_rate": 16_000}
    settings |= {"mean": -8.2e-05, "std": 0.053, "auto_map": {"AutoModel": "pipeline_utils.SERModel"}}
    settings["id2label"] = {str(number): label for number, label in enumerate(labels)}
    tensors = encoder_tensors(config, "ssl_model.", earlier_names=True) | drawn(**shapes)
    save(folder, tensors, settings, {})

    def plain(folder: Path, samples: Samples) -> list[float]:
        weights = load_file(folder / "model.safetensors")
        wave = ((samples - settings["mean"]) / (settings["std"] + 1e-6)).astype(np.float32)
        frames = states(folder, "ssl_model.", wave, config, normalise=False)[-1]
        scores = torch.tanh(linear(weights, "pool_model.sap_linear", frames)) @ weights["pool_model.attention"]
        share = scores.softmax(0)  # (T, 1)
        mean = (share * frames).sum(0)
        deviation = ((share * frames**2).sum(0) - mean**2).clamp(min=1e-5).sqrt()
        vector = torch.cat([mean, deviation])
        for n in range(layers):
            vector = linear(weights, f"ser_model.fc.{n}.0", vector)
            norm = weights[f"ser_model.fc.{n}.1.weight"], weights[f"ser_model.fc.{n}.1.bias"]
            vector = F.layer_norm(vector, vector.shape, *norm).relu()
        out = linear(weights, "ser_model.out.0", vector)
        return out.tolist() if attributes else softmax(out)

    return Published(folder, plain, {"encoder": str(base)})


def vox_profile(
    folder: Path, *, whisper: bool = False, lora: str | None = None, head: str | None = None, classes: bool = True
) -> Published:
    """`backbone_model`, `model_seq` and a hidden layer for each answer; config.json has its arguments."""
    config = whisper_config(max_source_positions=750) if whisper else speech_config("wavlm", large=True)
    base = folder.with_name(f"{folder.name}-base")
    save(base, {}, config, {"max_source_positions": 1500} if whisper else {})
    save_extractor(base, whisper_config() if whisper else config, normalise=True)
    tensors = encoder_tensors(config, "backbone_model.")
    shapes: dict[str, tuple[int, ...]] = {"weights": (LAYERS + 1,)}
    for number, width in ((0, WIDTH), (3, HIDDEN), (6, HIDDEN)):
        shapes |= {f"model_seq__{number}__weight": (HIDDEN, width, 1), f"model_seq__{number}__bias": (HIDDEN,)}
    answers = {"emotion_layer": 9, "detailed_out_layer": 17} if classes else {}
    answers |= dict.fromkeys(("arousal_layer", "valence_layer", "dominance_layer"), 1)
    for name, count in answers.items():
        shapes |= {f"{name}__0__weight": (HIDDEN, HIDDEN), f"{name}__0__bias": (HIDDEN,)}
        shapes |= {f"{name}__2__weight": (count, HIDDEN), f"{name}__2__bias": (count,)}
    tensors |= {name: tensor * 0.3 for name, tensor in drawn(**shapes).items()}
    if whisper:
        tensors["embed_positions"] = tensors["backbone_model.encoder.embed_positions.weight"].clone()
    dense = f"backbone_model.encoder.layers.{LAYERS - 1}.feed_forward.intermediate_dense"
    if lora:
        factors = drawn(lora_A=(4, WIDTH), lora_B=(2 * WIDTH, 4))
        tensors |= {f"{dense}.{name}": tensor for name, tensor in factors.items()}
    settings = {"pretrain_model": "whisper_large" if whisper else "wavlm_large", "hidden_dim": HIDDEN, "lora_rank": 4}
    settings |= {"finetune_method": "lora" if lora else "finetune", "output_class_num": 9, "use_conv_output": True}
    save(folder, tensors, settings, {})

    def plain(folder: Path, samples: Samples) -> list[float]:
        weights = load_file(folder / "model.safetensors")
        if whisper:
            frames = _whisper_states(folder, base, config, samples)
        else:
            read = folder
            if lora == "unmerged":
                merged = {name: tensor for name, tensor in weights.items() if ".lora_" not in name}
                merged[f"{dense}.weight"] += weights[f"{dense}.lora_B"] @ weights[f"{dense}.lora_A"] / 4
                read = folder.with_name(f"{folder.name}-merged")
                save(read, merged, settings, {})
            found = states(read, "backbone_model.", samples, config, normalise=True)
            frames = torch.stack([s * k for s, k in zip(found, weights["weights"].softmax(0), strict=True)]).sum(0)
        for number in (0, 3, 6):
            frames = F.conv1d(frames.T, weights[f"model_seq.{number}.weight"], weights[f"model_seq.{number}.bias"]).T
            frames = frames if number == 6 else frames.relu()
        vector = frames.mean(0)

        def answer(name: str) -> Tensor:
            return linear(weights, f"{name}.2", linear(weights, f"{name}.0", vector).relu())

        emotion = "detailed_out_layer" if head == "secondary" else "emotion_layer"
        attributes = [answer(f"{name}_layer").sigmoid().item() for name in ("arousal", "valence", "dominance")]
        return [*(softmax(answer(emotion)) if classes else ()), *attributes]

    more = {"encoder": str(base), "lora": lora, "head": head}
    if head == "secondary":
        more["labels"] = tuple(f"class-{number}" for number in range(17))
    return Published(folder, plain, {key: value for key, value in more.items() if value is not None})


def _whisper_states(folder: Path, base: Path, config: Any, samples: Samples) -> Tensor:
    """The last state of an encoder of 15 s, without the frames of the silence that fills them."""
    weights = load_file(folder / "model.safetensors")
    prefix = "backbone_model."
    model = transformers.WhisperModel(config).eval()
    model.load_state_dict({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)})
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=15)
    with torch.no_grad():
        mel = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        frames = model.encoder(mel).last_hidden_state[0]
    return frames[: -(-len(samples) // 320)]


ATTRIBUTES = ["arousal", "dominance", "valence"]
EIGHT = ["Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"]


BUILDERS: dict[str, Callable[[Path], Published]] = {
    "superb-wav2vec2-base": lambda folder: stock_of(folder, "wav2vec2", large=False, mixed=True),
    "dusha-hubert-large": lambda folder: stock_of(folder, "hubert", large=True, mixed=False, seed=1),
    "stock-wavlm-large": lambda folder: stock_of(folder, "wavlm", large=True, mixed=True, seed=2),
    "stock-data2vec": lambda folder: stock_of(folder, "data2vec-audio", large=True, mixed=False, seed=3),
    "firdhokk-whisper": stock_whisper,
    "audeering": lambda folder: dense_head(
        *(folder, "wav2vec2"),
        last="out_proj",
        labels=dict(enumerate(ATTRIBUTES)),
        pooling=None,
        tanh=True,
        attributes=True,
        options={"pooling": "mean"},
    ),
    "ehcalabres": lambda folder: dense_head(
        *(folder, "wav2vec2"),
        last="output",
        labels=RAVDESS,
        pooling="mean",
        tanh=False,
        options={"activation": "none"},
    ),
    "ehcalabres-tanh": lambda folder: dense_head(
        *(folder, "wav2vec2"),
        last="output",
        labels=RAVDESS,
        pooling="mean",
        tanh=True,
        options={"activation": "tanh"},
    ),
    "soxan-hubert-max": lambda folder: dense_head(
        folder, "hubert", last="out_proj", labels=FOUR, pooling="max", tanh=True, large=False
    ),
    "soxan-wav2vec2-sum": lambda folder: dense_head(
        folder, "wav2vec2", last="out_proj", labels=FOUR, pooling="sum", tanh=True
    ),
    "odyssey-categorical": lambda folder: odyssey(folder, EIGHT, layers=1),
    "odyssey-attributes": lambda folder: odyssey(folder, ATTRIBUTES, layers=2, attributes=True),
    "vox-wavlm": vox_profile,
    "vox-wavlm-lora": lambda folder: vox_profile(folder, lora="unmerged"),
    "vox-wavlm-merged": lambda folder: vox_profile(folder, lora="merged", head="secondary"),
    "vox-whisper": lambda folder: vox_profile(folder, whisper=True),
    "vox-whisper-dim": lambda folder: vox_profile(folder, whisper=True, classes=False),
}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Published]:
    """A published checkpoint by name, built when it is first asked for."""
    root, built = tmp_path_factory.mktemp("published"), dict[str, Published]()

    def build(name: str) -> Published:
        if name not in built:
            built[name] = BUILDERS[name](root / name)
        return built[name]

    return build


@pytest.fixture(scope="session")
def adopted(published: Callable[[str], Published], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model made of a published checkpoint."""
    from sertk_adopt.adopt import adopt

    root = tmp_path_factory.mktemp("adopted")

    def make(name: str) -> Path:
        checkpoint = published(name)
        if not (root / name).exists():
            adopt(str(checkpoint.folder), root / name, **checkpoint.options)
        return root / name

    return make


@pytest.fixture(scope="session")
def sounds() -> list[Samples]:
    """Recordings of unequal length: noise that swells and fades."""
    found = []
    for number, samples in enumerate((16_000, 23_457, 8_001)):
        noise = np.random.default_rng(number).standard_normal(samples)
        swell = 0.2 + 0.1 * np.sin(np.arange(samples) / (500 + 100 * number))
        found.append((noise * swell).clip(-1, 1).astype(np.float32))
    return found


@pytest.fixture(scope="session")
def copied() -> Callable[..., Path]:
    """Makes a copy of a checkpoint, with other settings."""

    def copy(folder: Path, place: Path, **settings: Any) -> Path:
        if place != folder:
            shutil.copytree(folder, place)
        path = place / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
        return place

    return copy
