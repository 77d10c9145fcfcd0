"""Tiny checkpoints of the architectures that sertk reads: random weights, saved and loaded as real ones are.

Every builder writes what `save_pretrained` writes, the tokenizer or feature extractor with it, and a second call
with the same arguments gives the same weights. Nothing here has learnt anything: scores made with it are chance.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sertk.compat import import_transformers, without_bars
from sertk.files import atomic_folder

SENTENCES = (
    "the weather is nice today and we are going for a long walk by the sea",
    "i am so happy to see you again after all these years",
    "why did you do that to me without saying a single word",
    "please do not leave the door open when it is cold outside",
    "she told him that everything would be fine in the morning",
    "nobody knows what will happen next but we have to try",
)
"""What the tiny tokenizers are trained on."""

LANGUAGES = ("en", "de", "fr")
CHUNK_SECONDS = 30


def tiny_speech(
    folder: Path,
    architecture: Literal["wavlm", "hubert", "wav2vec2", "data2vec-audio"],
    *,
    norm: Literal["layer", "group"] = "layer",
    width: int = 32,
    layers: int = 4,
    seed: int = 0,
) -> Path:
    """Write a tiny WavLM, HuBERT, wav2vec 2.0 or data2vec-audio: 50 frames a second of `width`.

    norm: `layer` is laid out as the large checkpoints are (stable layer norm), `group` as the base ones.
    """
    transformers = import_transformers()
    shape: dict[str, Any] = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embedding_groups": 2,
    }
    if architecture == "data2vec-audio":
        config = transformers.Data2VecAudioConfig(**shape)
    else:
        name = {"wavlm": "WavLMConfig", "hubert": "HubertConfig", "wav2vec2": "Wav2Vec2Config"}[architecture]
        config = getattr(transformers, name)(
            **shape,
            num_conv_pos_embeddings=32,
            feat_extract_norm=norm,
            do_stable_layer_norm=norm == "layer",
            conv_bias=norm == "layer",
        )
    extractor = transformers.Wav2Vec2FeatureExtractor(
        do_normalize=norm == "layer", return_attention_mask=norm == "layer"
    )
    return _save(folder, lambda: transformers.AutoModel.from_config(config), extractor, seed=seed)


def tiny_whisper(folder: Path, *, width: int = 32, layers: int = 4, seed: int = 0) -> Path:
    """Write a tiny multilingual Whisper that generates, with its tokenizer, feature extractor and languages."""
    transformers = import_transformers()
    specials = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{language}|>" for language in LANGUAGES)]
    specials += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>"]
    specials += ["<|notimestamps|>", *(f"<|{step * 0.02:.2f}|>" for step in range(CHUNK_SECONDS * 50 + 1))]
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    tokenizer = _tokenizer("WhisperTokenizer", specials, names, wrap=None, model_max_length=64)
    ids: dict[str, int] = {token: tokenizer.convert_tokens_to_ids(token) for token in specials}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    common = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    config = transformers.WhisperConfig(
        d_model=width,
        encoder_layers=layers,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        init_std=0.3,  # so that the words depend on the sound
        max_target_positions=64,
        **common,
    )
    generation = transformers.GenerationConfig(
        **common,
        max_length=24,
        begin_suppress_tokens=[end],
        is_multilingual=True,
        lang_to_id={f"<|{language}|>": ids[f"<|{language}|>"] for language in LANGUAGES},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
    )

    def build() -> Any:
        model = transformers.WhisperForConditionalGeneration(config)
        # Otherwise a reload takes it for one derived from the model's config, and drops the languages.
        generation._from_model_config = False
        model.generation_config = generation
        return model

    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=CHUNK_SECONDS)
    return _save(folder, build, extractor, tokenizer, seed=seed)


def tiny_roberta(folder: Path, *, width: int = 32, layers: int = 4, seed: int = 0) -> Path:
    """Write a tiny RoBERTa with a byte-level tokenizer."""
    transformers = import_transformers()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    names |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    tokenizer = _tokenizer("RobertaTokenizer", specials, names, ("<s>", "</s>"), model_max_length=128)
    config = transformers.RobertaConfig(
        **_text_shape(width, layers), vocab_size=len(tokenizer), max_position_embeddings=130, type_vocab_size=1
    )
    return _save(folder, lambda: transformers.RobertaModel(config), tokenizer, seed=seed)


def tiny_modernbert(folder: Path, *, width: int = 32, layers: int = 4, seed: int = 0) -> Path:
    """Write a tiny ModernBERT with a byte-level tokenizer."""
    transformers = import_transformers()
    specials = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    names = {f"{token.strip('[]').lower()}_token": token for token in specials}
    tokenizer = _tokenizer("PreTrainedTokenizerFast", specials, names, ("[CLS]", "[SEP]"), model_max_length=128)
    config = transformers.ModernBertConfig(
        **_text_shape(width, layers),
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        local_attention=16,
        pad_token_id=1,
        cls_token_id=2,
        bos_token_id=2,
        sep_token_id=3,
        eos_token_id=3,
    )
    return _save(folder, lambda: transformers.ModernBertModel(config), tokenizer, seed=seed)


def tiny_models(folder: Path, *, width: int = 32) -> dict[str, Path]:
    """Write one of each that MEDUSA reads: wavlm, hubert, whisper, roberta, modernbert; what is there is kept."""
    builders: dict[str, Callable[[Path], Path]] = {
        "wavlm": lambda path: tiny_speech(path, "wavlm", width=width),
        "hubert": lambda path: tiny_speech(path, "hubert", width=width, seed=1),
        "whisper": lambda path: tiny_whisper(path, width=width),
        "roberta": lambda path: tiny_roberta(path, width=width),
        "modernbert": lambda path: tiny_modernbert(path, width=width),
    }
    there = {name: folder / name for name in builders if (folder / name / "model.safetensors").is_file()}
    return {name: there[name] if name in there else build(folder / name) for name, build in builders.items()}


def _text_shape(width: int, layers: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
    }


def _save(folder: Path, build: Callable[[], Any], *parts: Any, seed: int) -> Path:
    """Build with a seed that leaves torch's random state untouched, and save whole or not at all."""
    import torch

    quiet = without_bars(import_transformers())
    with quiet, torch.random.fork_rng(devices=[]), atomic_folder(folder) as temporary:
        torch.manual_seed(seed)
        for part in (build().eval(), *parts):
            part.save_pretrained(temporary)
    return folder


def _tokenizer(
    tokenizer_class: str,
    specials: list[str],
    names: dict[str, str],
    wrap: tuple[str, str] | None,
    *,
    model_max_length: int,
) -> Any:
    """Train a byte-level tokenizer on SENTENCES. wrap: the special tokens before and behind a sequence.

    It is written and read back with `from_pretrained`: in transformers 5 the classes' own constructors silently
    give a vocabulary of nothing but special tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=specials if wrap else [],
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES * 3, trainer)
    if wrap is None:
        made.add_special_tokens(specials)  # behind the words, where Whisper has them
    else:
        first, last = wrap
        made.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}",
            pair=f"{first} $A {last} $B {last}",
            special_tokens=[(token, made.token_to_id(token)) for token in wrap],
        )
    with tempfile.TemporaryDirectory() as folder:
        made.save(str(Path(folder) / "tokenizer.json"))
        settings = {"tokenizer_class": tokenizer_class, "model_max_length": model_max_length, **names}
        Path(folder, "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return import_transformers().AutoTokenizer.from_pretrained(folder)
