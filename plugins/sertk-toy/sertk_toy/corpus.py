"""A made-up corpus in the exact layout of MSP-Podcast, so that everything can be tried without the licence."""

from __future__ import annotations

import csv
import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sertk.errors import DataError
from sertk.files import atomic_folder
from sertk.locks import sole_writer
from sertk_toy import crowd, synthesis
from sertk_toy.population import (
    SPLITS,
    TEST3,
    Speakers,
    Utterances,
    draw_speakers,
    draw_utterances,
    split_of_each,
)

REVISION = 1  # raised whenever the same arguments give other files
HEADER = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")

README = """\
THIS CORPUS IS MADE UP.

Its voices come from a synthesiser, its words from word lists and its ratings from random numbers. It only has the
layout of MSP-Podcast (as given to the 2025 challenge), so that software can be tried without the licensed corpus.
Scores on it say nothing about people, nor about how well a system recognises their emotions.

{about_audio}
Toy/test3_truth.csv holds the labels of Test3 and Toy/Transcripts its words. Both exist in the toy corpus only: the
real labels are not published, and the real words have to be recognised, which no recogniser can do with these voices.

{marker}
"""


def write_toy_corpus(
    folder: Path,
    *,
    utterances: int = 600,
    seed: int = 1,
    layout: Literal["challenge_2025"] = "challenge_2025",
    audio: bool = True,
) -> None:
    """Writes a made-up corpus of synthetic speech, words and votes in the layout of MSP-Podcast.

    utterances counts the labelled ones (Train 60 %, Development 25 %, Test1 10 %, Test2 5 %). Test3 comes on top,
    balanced over the eight classes, without labels or transcripts: Toy/test3_truth.csv and Toy/Transcripts hold what
    only a made-up corpus can know. Utterances last 1.0 to 3.5 seconds. The same arguments give the same bytes, and a
    folder that already holds this corpus is left as it is. audio=False leaves Audios empty and changes nothing else.

    Raises DataError for fewer than 64 utterances, a negative seed, an unknown layout, or a folder with other content.
    """
    if utterances < 64:
        raise DataError(f"The toy corpus needs at least 64 utterances, got {utterances}.")
    if seed < 0:
        raise DataError(f"The seed of the toy corpus should be 0 or more, got {seed}.")
    if layout != "challenge_2025":
        raise DataError(f"The toy corpus has no layout {layout!r}. Known: challenge_2025.")
    marker = f"toy corpus: revision={REVISION} layout={layout} utterances={utterances} seed={seed} audio={audio}"
    if _is_written(folder, marker):
        return
    about_audio = "" if audio else "It was written without audio: the folder Audios is empty.\n"

    with sole_writer(folder), atomic_folder(folder, flush=False) as partial:
        for part in ("Audios", "Labels", "Transcripts", "Toy/Transcripts"):
            (partial / part).mkdir(parents=True)
        rng = np.random.default_rng(seed)
        split = split_of_each(utterances)
        speakers = draw_speakers(split, utterances, rng)
        drawn = draw_utterances(split, speakers, utterances, rng)
        _write_lists(partial, drawn, speakers)
        _write_labels(partial / "Labels", drawn, speakers, rng)
        for name, text, part in zip(drawn.names, drawn.texts, drawn.split.tolist(), strict=True):
            place = "Toy/Transcripts" if part == TEST3 else "Transcripts"
            (partial / place / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
        if audio:
            _write_audio(partial / "Audios", drawn, speakers, seed)
        readme = README.format(about_audio=about_audio, marker=marker)
        (partial / "readme.txt").write_text(readme, encoding="utf-8")


def _is_written(folder: Path, marker: str) -> bool:
    """Whether the folder holds the corpus of this marker; raises DataError where it holds anything else."""
    if folder.is_symlink() and not folder.exists():
        raise DataError(f"{folder} is a link to nothing; the toy corpus needs a new or empty folder.")
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; the toy corpus needs a new or empty folder.")
    readme = folder / "readme.txt"
    if readme.is_file() and marker in readme.read_text(encoding="utf-8", errors="replace").splitlines():
        return True
    if any(folder.iterdir()):
        raise DataError(f"{folder} is not empty and is not the toy corpus asked for ({marker}). Name a new folder.")
    return False


def _write_lists(folder: Path, drawn: Utterances, speakers: Speakers) -> None:
    """Writes Partitions.txt, Speaker_ids.txt and the truth of Test3."""
    parts = drawn.split.tolist()
    lines = [f"{SPLITS[part]}; {name}.wav\n" for part, name in zip(parts, drawn.names, strict=True)]
    (folder / "Partitions.txt").write_text("".join(lines), encoding="utf-8")

    named = [s for s, label in enumerate(speakers.label) if label != "Unknown" and speakers.split[s] != TEST3]
    named.sort(key=lambda s: int(speakers.label[s]))
    lines = [f"Speaker_{speakers.label[s]}; {speakers.gender[s]}\n" for s in named]
    for name, part, speaker in zip(drawn.names, parts, drawn.speaker.tolist(), strict=True):
        if part != TEST3:
            lines.append(f"{name}.wav;{speakers.label[speaker]}\n")
    (folder / "Speaker_ids.txt").write_text("".join(lines), encoding="utf-8")

    with (folder / "Toy" / "test3_truth.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(HEADER[:5])
        for row in np.flatnonzero(drawn.split == TEST3).tolist():
            table.writerow((f"{drawn.names[row]}.wav", drawn.letters[row], *drawn.attributes[row].tolist()))


def _write_labels(folder: Path, drawn: Utterances, speakers: Speakers, rng: np.random.Generator) -> None:
    """Writes the consensus and the rater rows of the labelled utterances as CSV, JSON and text, in one pass."""
    votes, labelled = drawn.votes, np.flatnonzero(drawn.split != TEST3)
    with (
        (folder / "labels_consensus.csv").open("w", newline="", encoding="utf-8") as consensus_csv,
        (folder / "labels_consensus.json").open("w", encoding="utf-8") as consensus_json,
        (folder / "labels_detailed.csv").open("w", newline="", encoding="utf-8") as detailed_csv,
        (folder / "labels_detailed.json").open("w", encoding="utf-8") as detailed_json,
        (folder / "labels.txt").open("w", encoding="utf-8") as text,
    ):
        consensus = csv.writer(consensus_csv, lineterminator="\n")
        consensus.writerow(HEADER)
        detailed = csv.writer(detailed_csv, lineterminator="\n")
        detailed.writerow(("FileName", "EmoDetail"))
        for count, row in enumerate(labelled.tolist()):
            file, letter, means = (
                f"{drawn.names[row]}.wav",
                str(drawn.letters[row]),
                drawn.attributes[row].tolist(),
            )
            speaker = int(drawn.speaker[row])
            who = (speakers.label[speaker], speakers.gender[speaker], SPLITS[int(drawn.split[row])])
            values = (letter, *(str(mean) for mean in means), *who)
            consensus.writerow((file, *values))
            text.write(f"{file}; {letter}; {_rated(means, 6)}\n")

            present = votes.present[row]
            primary = votes.primary[row, present]
            words, seconds = crowd.draw_primary_words(primary, rng), crowd.draw_secondary(primary, rng)
            raters: dict[str, dict[str, str]] = {}
            for number, first, second, rated in zip(
                votes.worker[row, present].tolist(),
                words,
                seconds,
                votes.ratings[row, present].tolist(),
                strict=True,
            ):
                worker = f"WORKER{number + 1:08d}"
                detailed.writerow((file, f"{worker}; {first}; {second}; {_rated(rated, 1)}"))
                text.write(f"{worker}; {first}; {second}; {_rated(rated, 6)}\n")
                raters[worker] = {"EmoClass_Major": first, "EmoClass_Second": second}
                raters[worker] |= dict(zip(HEADER[2:5], map(str, rated), strict=True))
            text.write("\n")
            opening = ",\n" if count else "{\n"
            keyed = dict(zip(HEADER[1:], values, strict=True))
            consensus_json.write(f"{opening}{json.dumps(file)}: {json.dumps(keyed)}")
            detailed_json.write(f"{opening}{json.dumps(file)}: {json.dumps(raters)}")
        consensus_json.write("\n}\n")
        detailed_json.write("\n}\n")


def _rated(values: Sequence[float], decimals: int) -> str:
    """Arousal, valence and dominance as the packed form has them: "A:3.0; V:4.0; D:nan;"."""
    return " ".join(f"{key}:{value:.{decimals}f};" for key, value in zip("AVD", values, strict=True))


def _write_audio(folder: Path, drawn: Utterances, speakers: Speakers, seed: int) -> None:
    """Speaks every utterance into a WAV file, 16 kHz mono PCM16; each has a random stream of its own."""
    for row, name in enumerate(drawn.names):
        samples = synthesis.synthesize(
            speakers.voices[int(drawn.speaker[row])],
            drawn.affect[row].tolist(),
            synthesis.vowels_of(drawn.texts[row]),
            float(drawn.seconds[row]),
            np.random.default_rng((seed, row)),
        )
        with wave.open(str(folder / f"{name}.wav"), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(synthesis.SAMPLE_RATE)
            stream.writeframes(np.rint(samples * 32767.0).astype("<i2").tobytes())
