"""Which verbs run again when one input of a finished experiment changes: those that must, and no others.

ROWS is the specification: a line for each input, a column for each verb. Every row copies a small finished experiment
to another folder, changes that one input, runs all verbs in order, and compares which of them did not say `up to date`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib.metadata import distribution, entry_points
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
import pytest
from sertk_msp_podcast.labels import MSP_PODCAST as LABELS

from sertk import cards, digests, revisions
from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest
from sertk.features import sources
from sertk.features.store import FeatureStore
from sertk.files import sha256_json
from sertk.registry import REGISTRIES

pytestmark = pytest.mark.plugins

ON = "--manifest data/manifest.jsonl.gz --device cpu"
SPLITS = "--splits held_out,development,test1,test3"
ALONE = "--max-batch 1"  # an utterance gives the same bits whatever is encoded beside it
VERBS = {
    # corpus
    "prepare": "data prepare msp_podcast corpus --out data/corpus.jsonl.gz",
    "split": "data split data/corpus.jsonl.gz --share 0.25 --out data/split.jsonl.gz",  # then `by_hand`: data/source.jsonl
    "transcribe": "transcribe data/source.jsonl --split test3 --mixed-sources --use whisper --model weights/whisper"
    " --device cpu --out data/manifest.jsonl.gz",
    "fix": "data fix data/source.jsonl --out data/fixed.jsonl.gz",
    "audit": "data audit data/manifest.jsonl.gz --html data/audit.html",
    # features
    "speech": f"extract conf/speech_features.toml --into features {ALONE} {ON}",
    "words": f"extract conf/word_features.toml --into features {ALONE} {ON}",
    # training
    "train speech": "train conf/speech.toml --into members --device cpu",
    "train both": "train conf/both.toml --into members --device cpu",
    # posteriors
    "posteriors speech": f"extract members/speech --into posteriors {SPLITS} {ALONE} {ON}",
    "posteriors both": f"extract members/both --into posteriors {SPLITS} {ALONE} {ON}",
    # ensembles
    "vote": "combine conf/vote.toml posteriors/speech posteriors/both --out ensembles/vote --device cpu",
    "meta": "combine conf/meta.toml posteriors/speech posteriors/both --out ensembles/meta --device cpu",
    "nested": "combine conf/nested.toml ensembles/vote ensembles/meta/seed-1 members/both --out ensembles/nested"
    " --device cpu",
    # predictions
    "predict speech": f"predict members/speech --split development --output predictions/development/speech.csv {ON}",
    "predict nested": f"predict ensembles/nested --split development --output predictions/development/nested.csv {ON}",
    "predict test3": f"predict ensembles/nested --split test3 --output predictions/test3/nested.csv {ON}",
    "predict files": "predict members/both corpus/Audios/MSP-PODCAST_0006_0002.wav corpus/Audios/MSP-PODCAST_0006_0003.wav --output files.csv --device cpu",
    # results
    "score": "score predictions/development/speech.csv predictions/development/nested.csv --compare other.csv"
    " --manifest data/manifest.jsonl.gz --split development --groups --draws 20 --output scores.json --results RESULTS.md",
    "report": "report . --manifest data/manifest.jsonl.gz --clips 1 --draws 20",
    "submit": "submit predictions/test3/nested.csv --manifest data/manifest.jsonl.gz --out submission --model ensembles/nested",
    "ablate": "ablate conf/ablations.toml --into ablations --device cpu",
}

IDS = {
    "train": "MSP-PODCAST_0004_0001",
    "held_out": "MSP-PODCAST_0018_0002",
    "development": "MSP-PODCAST_0003_0001",
    "test1": "MSP-PODCAST_0006_0002",  # one of `predict files`
    "test2": "MSP-PODCAST_0010_0001",
    "test3": "MSP-PODCAST_test3_0001",
}
"""An utterance of each split of the toy corpus: the one that a row changes."""
SPARE = "MSP-PODCAST_0003_0002"
"""An utterance of the development split that is left out by hand."""
Change = Callable[["Site"], object]


@dataclass(frozen=True)
class Row:
    """What must run again (x) and what must not (.) once an input has changed, by verb in the order of VERBS."""

    marks: str
    input: str
    change: Change


# Reading the marks: an output that comes out the same stops what follows. Features of a held-out recording, for
# example, train again (they choose the epoch); the one epoch of these members has the same weights afterwards, so
# `predict speech` has nothing new.
# fmt: off
ROWS = [
    #    prepare, split, transcribe, fix, audit
    #    |     speech and word features
    #    |     |  train speech, both
    #    |     |  |  posteriors speech, both
    #    |     |  |  |  vote, meta, nested
    #    |     |  |  |  |   predict speech, nested, test3, files
    #    |     |  |  |  |   |    score, report, submit, ablate
    Row("..... .. .. .. ... .... ....", "nothing but the folder", lambda site: None),
    Row("..... .. .. .. ... .... ....", "the times of all files", lambda site: touch()),

    # The corpus's files. Samples change under the same length, size and mtime. `fix` only asks if a recording exists.
    Row("x...x x. xx xx xxx xxxx xxxx", "samples of a training recording", lambda site: noise(IDS["train"])),
    Row("x...x x. xx xx xxx .xx. xxxx", "samples of a held-out recording", lambda site: noise(IDS["held_out"])),
    Row("x...x x. .. xx ... xx.. xx.x", "samples of a development recording", lambda site: noise(IDS["development"])),
    Row("x...x x. .. xx ... ...x ....", "samples of a recording that is predicted from its file", lambda site: noise(IDS["test1"])),
    Row("x...x x. .. .. ... .... ....", "samples of a recording of no other use", lambda site: noise(IDS["test2"])),
    Row("x.x.x xx .. xx ... ..x. .xxx", "samples of a test3 recording, which is transcribed", lambda site: noise(IDS["test3"])),
    Row("xxxxx x. xx xx xxx xxxx xxxx", "length of a training recording", lambda site: cut(IDS["train"])),
    Row("xxxxx .x .x .x xxx .xxx xxxx", "transcript of a training utterance", lambda site: say(IDS["train"])),
    Row("xxxxx .x .x .x xxx .xx. xxxx", "transcript of a held-out utterance", lambda site: say(IDS["held_out"])),
    Row("xxxxx .x .. .x ... .x.. xx.x", "transcript of a development utterance", lambda site: say(IDS["development"])),
    Row("xxxxx .x .. .x ... ...x .x.x", "transcript of a recording that is predicted from its file", lambda site: say(IDS["test1"])),
    # `transcribe` reads the new words to write others in their place: the same manifest.
    Row("xxxx. .. .. .. ... .... ....", "transcript of a test3 utterance, where it is recognised", lambda site: say(IDS["test3"], "Toy/Transcripts")),
    Row("xxxxx .. .. .. ... .... xx.x", "consensus in the corpus's label file", lambda site: relabel(IDS["development"])),

    # The manifest. The report and the tables of `ablate` show its fingerprint; the audit counts most of what is in it.
    Row("..xxx x. xx xx xxx xxxx xxxx", "start of a training utterance", lambda site: site.utterance("train", start=0.25)),
    Row("..xxx x. .. xx ... xx.. xx.x", "start of a development utterance", lambda site: site.utterance("development", start=0.25)),
    Row("..xxx x. xx xx xxx xxxx xxxx", "duration of a training utterance", lambda site: site.utterance("train", duration=0.5)),
    Row("..xxx x. .. xx ... xx.. xx.x", "duration of a development utterance", lambda site: site.utterance("development", duration=0.5)),
    Row("..xxx .. xx .. ... .... .x.x", "speaker of a training utterance", lambda site: site.utterance("train", speaker="someone")),
    Row("..xxx .. .. .. ... .... xx.x", "speaker of a development utterance", lambda site: site.utterance("development", speaker="someone")),
    Row("..xxx .. .. .. ... .... xx.x", "gender of a development utterance", lambda site: site.utterance("development", gender="other")),
    # Samplers see the consensus, though these draw without it: trained again, with the same weights.
    Row("..xxx .. xx .. ... .... .x.x", "consensus of a training utterance", lambda site: site.utterance("train", emotion="Contempt")),
    Row("..xxx .. xx .. xxx .... .x.x", "consensus of a held-out utterance", lambda site: site.utterance("held_out", emotion="Contempt")),
    Row("..xxx .. .. .. ... .... xx.x", "consensus of a development utterance", lambda site: site.utterance("development", emotion="Contempt")),
    Row("..xxx .. xx xx xxx xxxx xxxx", "votes of a training utterance", lambda site: site.utterance("train", votes={"Fear": 3.0})),
    Row("..xxx .. xx .. xxx .xx. xxxx", "votes of a held-out utterance", lambda site: site.utterance("held_out", votes={"Fear": 3.0})),
    Row("..xxx .. .. .. ... .... xx.x", "votes of a development utterance", lambda site: site.utterance("development", votes={"Fear": 3.0})),
    Row("..xxx .. xx xx xxx xxxx xxxx", "attribute of a training utterance", lambda site: site.attribute("train", "arousal")),
    Row("..xxx .. xx .. xxx .xx. xxxx", "attribute of a held-out utterance", lambda site: site.attribute("held_out", "arousal")),
    Row("..xxx .. .. .. ... .... xx.x", "attribute of a development utterance", lambda site: site.attribute("development", "arousal")),
    Row("..xxx .. .. .. ... .... .x.x", "attribute that no model predicts", lambda site: site.attribute("train", "liking")),
    Row("..xxx .. xx xx xxx xxxx xxxx", "range of an attribute", lambda site: site.header(ranges={**RANGES, "valence": (0, 8)})),
    Row("..xxx .. .. .. ... .... .x.x", "range of an attribute that no model predicts", lambda site: site.header(ranges={**RANGES, "liking": (0, 8)})),
    Row("..xxx .. xx xx xxx xxxx xxxx", "order of the labels", lambda site: site.header(labels=LabelSet(LABELS.names[::-1], LABELS.letters[::-1]))),
    Row("..xxx .. xx xx xxx xxxx xxxx", "split of a training utterance", lambda site: site.utterance("train", split="test2")),
    Row("..xxx .. .. .. ... xx.. xx.x", "split of a development utterance", lambda site: site.utterance("development", split="test2")),
    Row("..xxx .. .. .. ... xx.. xx.x", "a development utterance fewer", lambda site: site.without("development")),
    Row("..xxx xx .. xx ... xx.. xx.x", "a development utterance more", lambda site: site.spare.remove(SPARE)),
    Row("..xxx .. .x .. ... .... .x.x", "source of a training utterance's words", lambda site: site.utterance("train", text_source="people")),
    Row("..xxx .. .. .. ... .... .x.x", "language of a training utterance, which nobody reads", lambda site: site.utterance("train", language="de")),
    Row("..xxx .. .. .. ... .... .x.x", "what one rater heard, of which the votes are known", lambda site: site.utterance("train", raters=({"primary": "Fear"},))),
    # Pages and manifests show the note; nothing that computes reads it.
    Row("..xxx .. .. .. ... .... xx.x", "note of the corpus", lambda site: site.header(note="another")),
    Row("..xxx .. .. .. ... .... xx.x", "name of the corpus", lambda site: site.header(corpus="another")),

    # Encoders
    Row("..... x. xx xx xxx xxxx xxxx", "option of an encoder", lambda site: edit("conf/speech_features.toml", "mels = 20", "mels = 24")),
    Row("..... x. xx xx xxx xxxx xxxx", "dtype of stored features", lambda site: edit("conf/speech_features.toml", "float16", "float32")),
    Row("..... .x .x .x xxx .xxx xxx.", "weights of an encoder", lambda site: other_weights()),
    Row("..... .x .x .x xxx .xxx xxx.", "tokenizer file of an encoder", lambda site: other_tokenizer()),
    Row("..... .. .. .. ... .... ....", "folder of an encoder's weights", lambda site: move_weights("roberta", "word_features")),

    Row("..... .x .x .x xxx .xxx xxx.", "precision of extraction", lambda site: site.add("words", "--precision bfloat16")),

    # Transcribers
    Row("..x.x .x .. .x ... ..x. .xxx", "option of the transcriber", lambda site: site.add("transcribe", "--language de")),
    Row("..x.x .x .. .x ... ..x. .xxx", "weights of the transcriber", lambda site: other_whisper()),
    Row("..... .. .. .. ... .... ....", "folder of the transcriber's weights", lambda site: site.replace("transcribe", "weights/whisper", move_weights("whisper"))),

    # Experiments
    Row("..... .. .x .x xxx .xxx xxx.", "option of a member", lambda site: edit("conf/both.toml", "lr = 3e-3", "lr = 1e-3")),
    Row("..... .. x. x. xxx xxx. xxx.", "option of a member by --set", lambda site: site.add("train speech", "--set stage.full.optimizer.lr=1e-3")),
    Row("..... .. .x .x xxx .xxx xxx.", "optimizer of a member", lambda site: edit("conf/both.toml", "optimizer = {", 'optimizer = { use = "sgd",')),
    Row("..... .. x. x. xxx xxx. xxx.", "option of an optimizer that the file leaves out", lambda site: site.add("train speech", "--set stage.full.optimizer.weight_decay=0.5")),
    Row("..... .. .. .. ... .... ....", "the default of an optimizer, written out", lambda site: edit("conf/both.toml", "optimizer = {", 'optimizer = { use = "adamw", betas = [0.9, 0.999],')),
    Row("..... .. x. x. xxx xxx. xxxx", "seed of a member", lambda site: edit("conf/speech.toml", "[features]", "seed = 2\n[features]")),
    Row("..... .. x. x. xxx xxx. xxxx", "seed of a member's first weights", lambda site: edit("conf/speech.toml", "[features]", "init_seed = 2\n[features]")),
    Row("..... .. xx xx xxx xxxx xxxx", "option in the file that members extend", lambda site: edit("conf/base.toml", "[head]", '[head]\nactivation = "none"')),
    Row("..... .. .x .x xxx .xxx xxx.", "precision of training", lambda site: edit("conf/both.toml", "[features]", 'compute.precision = "bfloat16"\n[features]')),
    # It may choose another epoch; here there is but one, with the same weights.
    Row("..... .. x. .. ... .... .x.x", "metric that chooses the epoch", lambda site: edit("conf/speech.toml", "[features]", '[selection]\nmetric = "uar"\n[features]')),
    Row("..... .. .. .. ... .... ....", "comment in every configuration file", lambda site: comment()),
    Row("..... .. .. .. ... .... ....", "threads", lambda site: edit("conf/base.toml", "threads = 1", "threads = 2")),
    Row("..... .. .. .. ... .... ....", "device", lambda site: site.replace_all("--device cpu", "--device auto")),
    Row("..... .. .. .. ... .... ....", "jobs", lambda site: site.add("train both", "--jobs 2")),

    # Components: their revisions, and the code and versions of plugins without one. Results of the same numbers stop it.
    Row("..... x. xx xx xxx xxxx ...x", "revision of an encoder", lambda site: site.revise("encoder", "logmel")),
    Row("..x.. .. .. .. ... .... ....", "revision of the transcriber", lambda site: site.revise("transcriber", "whisper")),
    # The report shows the fingerprints of an ensemble's members, of which the fusion's revision is a part.
    Row("..... .. xx xx xxx xxxx .x.x", "revision of a fusion", lambda site: site.revise("fusion", "concat")),
    Row("..... .. .. .. ..x .xx. ....", "revision of the fusion of votes", lambda site: site.revise("fusion", "posterior_mean")),
    Row("..... .. x. .. .x. .... ...x", "revision of a sampler, that of the meta-classifier too", lambda site: site.revise("sampler", "shuffle")),
    Row("..... .. xx .. .x. .... ...x", "revision of a loss, one of the meta-classifier's defaults too", lambda site: site.revise("loss", "attribute_mse")),
    Row("..... .. xx .. ... .... ...x", "revision of an optimizer", lambda site: site.revise("optimizer", "adamw")),
    Row("..... .. .x .. ... .... ....", "revision of a regularizer", lambda site: site.revise("regularizer", "modality_dropout")),
    Row("..... .. .. .. x.x .... ....", "revision of an aggregator", lambda site: site.revise("aggregator", "soft_vote")),
    Row("..... .. .x .x xxx .xxx xxx.", "code of an editable plugin", lambda site: site.reprogram("stub_entropy", "1.0 *", "2.0 *")),
    Row("..... .. .x .. ... .... ....", "comment in the code of an editable plugin", lambda site: site.reprogram("stub_entropy", "def", "# a comment\ndef")),
    Row("..... .. .. .. ... .... ....", "code of an editable plugin whose component has a revision", lambda site: site.reprogram("stub_order", "batch_size=8", "batch_size=4")),
    Row("..... .. .x .. ... .... ....", "revision of a plugin's component", lambda site: site.revise("sampler", "stub_order")),
    Row("..... .. x. .. ... .... ...x", "version of a plugin", lambda site: site.release("stub_noise")),
    Row("..... .. .. .. ... .... ....", "version of a plugin whose component has a revision", lambda site: site.release("stub_order")),
    Row("..... .. .. .. ... .... ....", "version of sertk", lambda site: site.release("sertk")),

    # The revisions of verbs: the same results stop it again.
    Row("x.... .. .. .. ... .... ....", "revision of prepare's reader", lambda site: site.raised("sertk_msp_podcast.read.read_msp_podcast.revision")),
    Row(".x... .. .. .. ... .... ....", "revision of split", lambda site: site.raised("sertk.data.provenance.SPLIT")),
    Row("..x.. .. .. .. ... .... ....", "revision of transcribe", lambda site: site.raised("sertk.transcribers.provenance.REVISION")),
    Row("...x. .. .. .. ... .... ....", "revision of fix", lambda site: site.raised("sertk.data.provenance.FIX")),
    Row("....x .. .. .. ... .... ....", "revision of audit", lambda site: site.raised("sertk.data.provenance.AUDIT")),
    Row("..... .. xx .. ... .... ...x", "revision of train", lambda site: site.raised("sertk.experiment.REVISION")),
    Row("..... .. .. .. xxx .... ....", "revision of combine", lambda site: site.raised("sertk.ensemble.combine.REVISION")),
    Row("..... .. .. .. ... xxxx ....", "revision of predict", lambda site: site.raised("sertk.inference.provenance.REVISION")),
    Row("..... .. .. .. ... .... x...", "revision of score", lambda site: site.raised("sertk.scoring.provenance.REVISION")),
    Row("..... .. .. .. ... .... .x..", "revision of report", lambda site: site.raised("sertk.reports.provenance.REPORT")),
    Row("..... .. .. .. ... .... ..x.", "revision of submit", lambda site: site.raised("sertk_msp_podcast.provenance.REVISION")),
    Row("..... .. .. .. ... .... ...x", "revision of ablate", lambda site: site.raised("sertk_lab.ablation.provenance.REVISION")),

    # Ensembles
    Row("..... .. .. .. x.x .xx. xxx.", "aggregator of an inner ensemble", lambda site: edit("conf/vote.toml", "soft_vote", "vote")),
    Row("..... .. .. .. .xx .xx. xxx.", "option of an aggregator", lambda site: edit("conf/meta.toml", "least_steps = 5", "least_steps = 9")),
    Row("..... .. .. .. .xx .xx. xxx.", "split that an aggregator is fitted on", lambda site: edit("conf/meta.toml", "[agg", 'fit = "test1"\n[agg')),
    Row("..... .. .. .. .xx .xx. xxx.", "targets that an aggregator is fitted on", lambda site: edit("conf/meta.toml", "[data]", '[data]\ntargets = "majority"')),
    Row("..... .. .. .. x.x .xx. xxx.", "members of an ensemble", lambda site: site.replace("vote", "posteriors/both ", "")),
    Row("..... .. .. .. ..x .xx. xxx.", "a member of an ensemble, under the same name", lambda site: site.replace("nested", "ensembles/meta/seed-1", "seed-1=ensembles/meta/seed-2")),

    # Outputs that were removed, changed or exchanged come back as they were: nothing below them runs.
    Row("x.... .. .. .. ... .... ....", "prepared manifest, edited by hand", lambda site: site.scribble("data/corpus.jsonl.gz")),
    Row("..... x. .. .. ... .... ....", "features, removed", lambda site: shutil.rmtree("features/speech_features")),
    Row("..... x. .. .. ... .... ....", "features of another corpus in their place", lambda site: other_features(IDS["train"])),
    Row("..... .. x. .. ... .... ....", "weights of a member, damaged", lambda site: flip("members/speech/model.safetensors")),
    Row("..... .. .. x. ... .... ....", "posteriors, removed", lambda site: shutil.rmtree("posteriors/speech")),
    Row("..... .. .. .. x.. .... ....", "an ensemble, removed", lambda site: shutil.rmtree("ensembles/vote")),
    Row("..... .. .. .. ..x .... ....", "members inside an ensemble, exchanged", lambda site: exchange("ensembles/nested/members", "vote", "both")),
    Row("..... .. .. .. ... x... ....", "predictions, edited by hand", lambda site: append("predictions/development/speech.csv", "\n")),
    Row("..... .. .. .. ... .... x...", "results, edited by hand", lambda site: append("RESULTS.md", "very good\n")),
    Row("..... .. .. .. ... .... ..x.", "submission, edited by hand", lambda site: edit("submission/task1.csv", ",", ";")),

    # Options of the other verbs
    Row("xxxxx .. xx xx xxx xxxx xxxx", "option of prepare", lambda site: site.add("prepare", "--secondary half")),
    Row(".xxxx .. xx xx xxx xxxx xxxx", "share of split", lambda site: site.replace("split", "0.25", "0.5")),
    Row("..... .. .. xx ... .... ....", "splits of posteriors, one more", lambda site: site.replace_all("development,test1", "development,test1,test2")),
    Row("....x .. .. .. ... .... ....", "option of audit", lambda site: site.add("audit", "--no-audio")),
    Row("..... .. .. .. ... .... x...", "draws of score", lambda site: site.replace("score", "--draws 20", "--draws 21")),
    Row("..... .. .. .. ... .... x...", "seed of score", lambda site: site.add("score", "--seed 2")),
    Row("..... .. .. .. ... .... x...", "groups of score", lambda site: site.replace("score", "--groups", "")),
    Row("..... .. .. .. ... .... x...", "predictions that score compares with", lambda site: shutil.copy("predictions/development/nested.csv", "other.csv")),
    Row("..... .. .. .. ... .... .x..", "draws of report", lambda site: site.replace("report", "--draws 20", "--draws 21")),
]
# fmt: on


MEMBER = """
[data]
manifest = "data/manifest.jsonl.gz"
[head]
attributes = ["arousal", "valence", "dominance"]
[fusion]
use = "concat"
[compute]
device = "cpu"
threads = 1
"""
SPEECH = """
extends = "base.toml"
[features]
speech = "features/speech_features"
[[stage]]
name = "full"
epochs = 1
sampler = { use = "shuffle", batch_size = 8 }
optimizer = { lr = 3e-3 }
regularizers = [{ use = "stub_noise" }]
loss = [{ use = "cross_entropy" }, { use = "attribute_mse", weight = 0.4 }]
"""
BOTH = """
extends = "base.toml"
[features]
speech = "features/speech_features"
words = "features/word_features"
[[stage]]
name = "full"
epochs = 1
sampler = { use = "stub_order" }
optimizer = { lr = 3e-3 }
regularizers = [{ use = "modality_dropout", probability = 0.0 }]
loss = [{ use = "stub_entropy" }, { use = "attribute_mse", weight = 0.4 }]
"""
COMBINATION = """
[aggregator]
use = "soft_vote"
[data]
manifest = "data/manifest.jsonl.gz"
"""
META = COMBINATION.replace(
    'use = "soft_vote"',
    'use = "meta_classifier"\nseeds = [1, 2]\nleast_steps = 5\nepochs = 1\nsampler = { use = "shuffle" }',
)
ABLATIONS = """
members = ["speech.toml"]
seeds = 1
test = "development"
metrics = ["macro_f1"]
[[arm]]
name = "majority"
set = ['data.targets="majority"']
"""
CONF = {
    "speech_features.toml": 'dtype = "float16"\n[encoder]\nuse = "logmel"\nmels = 20\nstack = 8\n',
    "word_features.toml": 'dtype = "float16"\n[encoder]\nuse = "hf_text"\nmodel = "weights/roberta"\n',
    "base.toml": MEMBER,
    "speech.toml": SPEECH,
    "both.toml": BOTH,
    "vote.toml": COMBINATION,
    "meta.toml": META,
    "nested.toml": COMBINATION,
    "ablations.toml": ABLATIONS,
}
STUBS = {
    # name: (kind, editable, code)
    "stub_entropy": (
        "losses",
        True,
        "def stub_entropy(table, /):\n"
        "    return lambda outputs, targets: 1.0 * -(targets.emotion * outputs.emotion.log_softmax(-1)).sum(-1).mean()\n",
    ),
    "stub_order": (
        "samplers",
        True,
        "from sertk.batching.samplers import Shuffle\n\n"
        "def stub_order(table, seed, /):\n    return Shuffle(table, seed, batch_size=8)\n\nstub_order.revision = 1\n",
    ),
    "stub_noise": (
        "regularizers",
        False,
        "from sertk.training.regularizers import ModalityDropout\n\n"
        "def stub_noise():\n    return ModalityDropout(probability=0.0)\n",
    ),
}
"""Plugins: their entry point's group, whether they are installed editable, and their code."""


@dataclass
class Site:
    """A copy of the finished experiment, which is the working folder.

    verbs: their command lines. by_hand: what a script of the user's changes in the manifest, between split and
    transcribe. spare: utterances that it leaves out.
    """

    patch: pytest.MonkeyPatch
    verbs: dict[str, str] = field(default_factory=lambda: dict(VERBS))
    by_hand: list[Callable[[Manifest], Manifest]] = field(default_factory=list)
    spare: set[str] = field(default_factory=lambda: {SPARE})

    def utterance(self, which: str, /, **changes: Any) -> None:
        """Change fields of one of IDS."""
        self.by_hand.append(
            lambda manifest: manifest.with_utterances(
                replace(u, **changes) if u.id == IDS[which] else u for u in manifest
            )
        )

    def every(self, **changes: Any) -> None:
        """Change fields of every utterance."""
        self.by_hand.append(lambda manifest: manifest.with_utterances(replace(u, **changes) for u in manifest))

    def attribute(self, which: str, name: str) -> None:
        """Change an attribute of one of IDS."""
        self.by_hand.append(
            lambda manifest: manifest.with_utterances(
                replace(u, attributes={**u.attributes, name: 8 - u.attributes[name]}) if u.id == IDS[which] else u
                for u in manifest
            )
        )

    def header(self, **changes: Any) -> None:
        """Change the manifest's header."""
        self.by_hand.append(lambda manifest: replace(manifest, **changes))

    def without(self, split: str) -> None:
        """Leave out the utterance of a split."""
        self.by_hand.append(lambda manifest: manifest.with_utterances(u for u in manifest if u.id != IDS[split]))

    def add(self, verb: str, options: str) -> None:
        """Give a verb further options."""
        self.verbs[verb] += f" {options}"

    def replace(self, verb: str, old: str, new: str) -> None:
        """Change a verb's arguments."""
        assert old in self.verbs[verb]
        self.verbs[verb] = self.verbs[verb].replace(old, new)

    def replace_all(self, old: str, new: str) -> None:
        """Change the arguments of all verbs."""
        self.verbs = {verb: line.replace(old, new) for verb, line in self.verbs.items()}

    def revise(self, kind: str, name: str) -> None:
        """Raise the revision of a component."""
        component = REGISTRIES[kind].get(name)
        self.patch.setattr(component, "revision", component.revision + 1)

    def raised(self, name: str) -> None:
        """Raise a number in a module, or of a function there."""
        place, _, attribute = name.rpartition(".")
        self.patch.setattr(name, getattr(pkgutil.resolve_name(place), attribute) + 1)

    def reprogram(self, stub: str, old: str, new: str) -> None:
        """Change the code of a plugin, as a new process finds it."""
        edit(f"plugins/{stub}.py", old, new)
        find_plugins(self.patch)

    def release(self, name: str) -> None:
        """Install another version of a distribution."""
        site = Path("plugins" if name.startswith("stub") else "newer")
        old = next(site.glob(f"{name}-*.dist-info"), None)
        if old is None:  # sertk itself: its own metadata, found before the installed one
            files = distribution(name).files or []
            folder = next(Path(str(distribution(name).locate_file(f))).parent for f in files if f.name == "METADATA")
            old = Path(shutil.copytree(folder, site / folder.name))
            self.patch.syspath_prepend(site.absolute())
            self.patch.setattr("sertk.__version__", "99.0")
        text = re.sub(r"(?m)^Version: .*$", "Version: 99.0", (old / "METADATA").read_text(encoding="utf-8"))
        (old / "METADATA").write_text(text, encoding="utf-8")
        old.rename(old.with_name(f"{name}-99.0.dist-info"))
        find_plugins(self.patch)

    def scribble(self, name: str) -> None:
        """Edit a manifest."""
        manifest = Manifest.read(Path(name))
        replace(manifest, note="edited").write(Path(name))

    def run(self) -> dict[str, bool]:
        """Run all verbs in order; say which did anything."""
        ran = {}
        for verb, line in self.verbs.items():
            if verb == "transcribe":
                self._by_hand()
            ran[verb] = did_anything(run(line))
        return ran

    def _by_hand(self) -> None:
        manifest = Manifest.read(Path("data/split.jsonl.gz"))
        kept = [u for u in manifest if u.id not in self.spare]
        manifest = replace(manifest, ranges=RANGES).with_utterances(
            replace(u, attributes={**u.attributes, "liking": 3.0}) for u in kept
        )
        manifest = reduce(lambda made, change: change(made), self.by_hand, manifest)
        manifest.write(Path("data/source.jsonl"))


INPUTS = ("corpus", "conf", "weights", "plugins", "other.csv")
"""What an experiment begins with."""
RESULTS = (
    "predictions/development/speech.csv",
    "predictions/development/nested.csv",
    "predictions/test3/nested.csv",
    "files.csv",
    "scores.json",
    "submission/task1.csv",
    "submission/task2.csv",
)
"""What it ends with."""
RANGES = dict.fromkeys(("arousal", "valence", "dominance", "liking"), (1.0, 7.0))


def run(line: str) -> str:
    """Run a verb; give what it wrote to standard output."""
    shown = io.StringIO()
    with redirect_stdout(shown):
        status = main(shlex.split(line))
    assert status == 0, f"sertk {line}\n{shown.getvalue()}"
    return shown.getvalue()


def did_anything(shown: str) -> bool:
    """Whether a verb, by what it wrote, made anything; `ablate` counts its models before it shows its tables."""
    if models := re.match(r"(\d+) models, (\d+) of them up to date", shown):
        return models[1] != models[2] or "  written" in shown
    return not any(line.startswith("up to date  ") for line in shown.splitlines())


def marks(ran: Mapping[str, bool]) -> str:
    """Which verbs ran, as ROWS has it."""
    each = ["x" if done else "." for done in ran.values()]
    return " ".join("".join(each[start:end]) for start, end in pairwise(accumulate(GROUPS, initial=0)))


GROUPS = [len(group) for group in ROWS[0].marks.split()]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished experiment: all verbs ran once."""
    return finish(tmp_path_factory.mktemp("invalidation") / "finished")


def finish(folder: Path) -> Path:
    """Make the corpus, the weights, the configuration and the plugins, and run all verbs once."""
    from sertk_toy.corpus import write_toy_corpus

    from sertk.testing.tiny_models import tiny_roberta, tiny_whisper

    (folder / "conf").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, stub in STUBS.items():
            write_stub(folder / "plugins", name, *stub)
        site = enter(folder, patch)
        write_toy_corpus(Path("corpus"), utterances=64)
        leave_out(f"MSP-PODCAST_test3_{number:04}" for number in range(5, 65))
        tiny_roberta(Path("weights/roberta"))
        tiny_whisper(Path("weights/whisper"))
        for name, text in CONF.items():
            Path("conf", name).write_text(text, encoding="utf-8")
        score = [site.verbs.pop(verb) for verb in ("score", "report", "submit", "ablate")]
        assert set(site.run().values()) == {True}
        shutil.copy("predictions/development/speech.csv", "other.csv")
        site.verbs = dict(zip(("score", "report", "submit", "ablate"), score, strict=True))
        assert set(site.run().values()) == {True}
    return folder


def copy(finished: Path, to: Path, patch: pytest.MonkeyPatch, *, inputs_alone: bool = False) -> Site:
    """Copy the finished experiment to another folder, or its inputs alone, and work there."""
    folder = to / "elsewhere" / "experiment"
    folder.mkdir(parents=True)
    for path in finished.iterdir():
        if path.name in INPUTS or not inputs_alone:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, folder / path.name)
    return enter(folder, patch)


def leave_out(ids: Iterable[str]) -> None:
    """Take utterances of test3 out of the corpus, to have less to do."""
    lists = Path("corpus/Partitions.txt")
    left_out = {*ids}
    for id in left_out:
        Path("corpus/Audios", f"{id}.wav").unlink()
        Path("corpus/Toy/Transcripts", f"{id}.txt").unlink()
    lines = lists.read_text(encoding="utf-8").splitlines(keepends=True)
    lists.write_text("".join(line for line in lines if line.split()[1].removesuffix(".wav") not in left_out))


def enter(folder: Path, patch: pytest.MonkeyPatch) -> Site:
    """Work in a folder, with its plugins installed."""
    patch.chdir(folder)
    patch.syspath_prepend(folder / "plugins")
    patch.setattr(sys, "dont_write_bytecode", True)
    find_plugins(patch)
    return Site(patch)


def find_plugins(patch: pytest.MonkeyPatch) -> None:
    """Look at the installed distributions again, as a new process does."""
    importlib.invalidate_caches()
    patch.setattr(catalogue, "AVAILABLE_ENTRY_POINTS", entry_points())
    for registry in REGISTRIES.values():
        patch.setattr(registry, "_installed", {})
    for name in STUBS:
        patch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.input)
def test_a_changed_input_makes_just_what_reads_it_run_again(
    row: Row, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = copy(finished, tmp_path, monkeypatch)
    row.change(site)
    assert marks(site.run()) == row.marks


@pytest.mark.slow
def test_the_old_rules_break_the_table(tmp_path: Path) -> None:
    """Stat signatures in place of content, features known by id and length, components without versions."""
    broken = []
    with pytest.MonkeyPatch.context() as patch:
        old_rules(patch, tmp_path / "cache")
        finished = finish(tmp_path / "finished")
        for number, row in enumerate(ROWS):
            with pytest.MonkeyPatch.context() as inner:
                site = copy(finished, tmp_path / str(number), inner)
                row.change(site)
                try:
                    found = marks(site.run())
                except AssertionError:  # a verb failed
                    found = "error"
            broken += [f"{found:27} {row.input}"] if found != row.marks else []
            shutil.rmtree(tmp_path / str(number))
    print(f"{len(broken)} of {len(ROWS)} rows fail under the old rules:", *broken, sep="\n")
    assert len(broken) >= 12


def old_rules(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """What decided before there was one key."""
    patch.setenv("SERTK_CACHE", str(cache))
    everywhere(patch, digests._read, lambda path: sha256_json([path.name, path.stat().st_size, path.stat().st_mtime]))
    everywhere(patch, sources.digest, lambda content: "0" * sources.LENGTH)
    everywhere(patch, revisions.component_version, lambda kind, name: "")
    everywhere(
        patch,
        cards.model_fingerprint,
        lambda card, experiment: sha256_json(
            [card.weights_sha256, card.labels, {name: spec.fingerprint for name, spec in card.encoders.items()}]
        ),
    )
    patch.setattr(
        FeatureStore,
        "fingerprint_of",
        lambda store, ids: sha256_json([store.card.key, sorted(store.lengths.items())]),
    )


def everywhere(patch: pytest.MonkeyPatch, function: Callable[..., Any], replacement: Callable[..., Any]) -> None:
    """Replace a function in all modules of sertk that have it by name."""
    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0].startswith("sertk") and vars(module).get(function.__name__) is function:
            patch.setattr(module, function.__name__, replacement)


def test_a_second_run_has_nothing_to_do(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = copy(finished, tmp_path, monkeypatch)
    row = next(row for row in ROWS if row.input == "option of prepare")
    row.change(site)
    site.run()
    assert marks(site.run()) == ROWS[0].marks


CHAINS: dict[str, Change] = {
    "every transcript": lambda site: [
        say(path.stem, path.parent.name) for path in Path("corpus").glob("Trans*/*.txt")
    ],
    "the samples of every recording": lambda site: [noise(path.stem) for path in Path("corpus/Audios").iterdir()],
    "the samples of every recording, and no features are left": lambda site: [
        *(noise(path.stem) for path in Path("corpus/Audios").iterdir()),
        shutil.rmtree("features", ignore_errors=True),
    ],
    "start and duration of every utterance": lambda site: site.every(start=0.125, duration=0.75),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_what_changes_under_the_same_ids_gives_what_a_fresh_experiment_gives(
    chain: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {}
    for name in ("changed", "fresh"):
        with monkeypatch.context() as patch:
            site = copy(finished, tmp_path / name, patch, inputs_alone=name == "fresh")
            CHAINS[chain](site)
            site.run()
            results[name] = {file: Path(file).read_bytes() for file in RESULTS}
    assert results["changed"] == results["fresh"]
    for file in ("predictions/development/nested.csv", "predictions/test3/nested.csv", "files.csv", "scores.json"):
        assert results["fresh"][file] != (finished / file).read_bytes()


@pytest.mark.parametrize("verb", ["prepare", "split", "transcribe", "fix", "audit", "score", "report", "submit"])
def test_a_verb_without_a_network_is_up_to_date_without_torch(verb: str, finished: Path) -> None:
    code = "import sys; from sertk.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    words = [sys.executable, "-c", code, *shlex.split(VERBS[verb])]
    done = subprocess.run(words, cwd=finished, capture_output=True, text=True, check=False)
    assert "up to date" in done.stdout, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "0 False"


def write_stub(site: Path, name: str, kind: str, editable: bool, code: str) -> None:
    """Write a plugin as installed: its module, its metadata and its entry point."""
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / f"{name}.py").write_text(code, encoding="utf-8")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[sertk_{kind}]\n{name} = {name}:{name}\n", encoding="utf-8")
    if editable:
        (metadata / "direct_url.json").write_text('{"url": "file:///", "dir_info": {"editable": true}}')


def edit(name: str, old: str, new: str) -> None:
    """Change a text file."""
    text = Path(name).read_text(encoding="utf-8")
    assert old in text
    Path(name).write_text(text.replace(old, new), encoding="utf-8")


def append(name: str, text: str) -> None:
    """Add to a text file."""
    with open(name, "a", encoding="utf-8") as file:
        file.write(text)


def overwrite(path: Path, content: bytes) -> None:
    """Write other content of the same size in place, and set its times back."""
    before = path.stat()
    assert len(content) == before.st_size
    assert content != path.read_bytes()
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def noise(id: str) -> None:
    """Other samples in a recording."""
    path = Path("corpus/Audios", f"{id}.wav")
    content = path.read_bytes()
    samples = np.random.default_rng([*id.encode()]).integers(-9000, 9000, (len(content) - 44) // 2, dtype="<i2")
    overwrite(path, content[:44] + samples.tobytes())


def cut(id: str) -> None:
    """The first half of a recording."""
    path = str(Path("corpus/Audios", f"{id}.wav"))
    with wave.open(path) as file:
        parameters, samples = file.getparams(), file.readframes(file.getnframes() // 2)
    with wave.open(path, "wb") as file:
        file.setparams(parameters)
        file.writeframes(samples)


def say(id: str, folder: str = "Transcripts") -> None:
    """Other words in a transcript, as long as those before."""
    path = Path("corpus", folder, f"{id}.txt")
    words = path.read_bytes()
    overwrite(path, b"x" * (len(words) - 1) + b"\n")


def relabel(id: str) -> None:
    """Another consensus in the corpus's label file."""
    edit("corpus/Labels/labels_consensus.csv", f"{id}.wav,F,", f"{id}.wav,C,")


def touch() -> None:
    """New times of all files."""
    for path in Path().rglob("*"):
        path.touch()


def comment() -> None:
    """A comment at the end of every configuration file."""
    for name in CONF:
        append(f"conf/{name}", "# a comment\n")


def other_weights() -> None:
    from sertk.testing.tiny_models import tiny_roberta

    shutil.rmtree("weights/roberta")
    tiny_roberta(Path("weights/roberta"), seed=1)


def other_whisper() -> None:
    from sertk.testing.tiny_models import tiny_whisper

    shutil.rmtree("weights/whisper")
    tiny_whisper(Path("weights/whisper"), seed=1)


def other_tokenizer() -> None:
    """The words' tokens by other numbers."""
    path = Path("weights/roberta/tokenizer.json")
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    words["a"], words["e"] = words["e"], words["a"]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


def move_weights(name: str, config: str = "") -> str:
    """The same weights in another folder, whose name the configuration has."""
    folder = f"elsewhere/{name}"
    shutil.copytree(f"weights/{name}", folder)
    if config:
        edit(f"conf/{config}.toml", f"weights/{name}", folder)
    return folder


def other_features(id: str) -> None:
    """Features of a corpus that differs in a recording, which is put right again."""
    path = Path("corpus/Audios", f"{id}.wav")
    shutil.copy(path, "right.wav")
    noise(id)
    shutil.rmtree("features/speech_features")
    run(VERBS["speech"])
    shutil.move("right.wav", path)


def flip(name: str) -> None:
    """Damage the last byte of a file."""
    content = Path(name).read_bytes()
    overwrite(Path(name), content[:-1] + bytes([content[-1] ^ 255]))


def exchange(folder: str, one: str, two: str) -> None:
    """Let two folders have each other's names."""
    place = Path(folder)
    (place / one).rename(place / "between")
    (place / two).rename(place / one)
    (place / "between").rename(place / two)
