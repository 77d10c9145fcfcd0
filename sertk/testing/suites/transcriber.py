"""What every transcriber keeps: `(*, options)` to a function of recordings that gives the words of each, in order."""

from __future__ import annotations

from sertk.contracts import Transcriber
from sertk.testing.suites.base import Subject, global_seeds, require
from sertk.testing.suites.made_up_recordings import described_otherwise, made_up_recordings, samples_of


def one_answer(subject: Subject) -> None:
    """There is one answer per recording: words, or None."""
    with made_up_recordings() as recordings:
        answers = _built(subject)(recordings)
    require(isinstance(answers, list), f"the answers should be a list, got a {type(answers).__name__}")
    require(
        len(answers) == len(recordings),
        f"{len(recordings)} recordings should have as many answers, got {len(answers)}: None for no words",
    )
    for answer in answers:
        require(answer is None or isinstance(answer, str), f"an answer should be words or None, got {answer!r}")


def order(subject: Subject) -> None:
    """Answers are in the order of the recordings."""
    transcriber = _built(subject)
    with made_up_recordings() as recordings:
        answers = transcriber(recordings)
        turned = transcriber(recordings[::-1])[::-1]
    require(turned == answers, f"recordings in another order have other answers: {turned}, not {answers}")


def neighbours(subject: Subject) -> None:
    """A recording has the same answer alone and with others."""
    transcriber = _built(subject)
    with made_up_recordings() as recordings:
        answers = transcriber(recordings)
        for recording, answer in zip(recordings, answers, strict=True):
            alone = transcriber([recording])
            require(alone == [answer], f"{recording.id} alone gets {alone}, beside others {answer!r}")


def no_recordings(subject: Subject) -> None:
    """An empty list of recordings gives an empty list of answers."""
    answers = _built(subject)([])
    require(answers == [], f"an empty list of recordings should give an empty list, got {answers!r}")


def plain_words(subject: Subject) -> None:
    """Words have no spaces around them and no line breaks, as in manifests."""
    with made_up_recordings() as recordings:
        for answer in _built(subject)(recordings):
            require(answer is None or answer == answer.strip(), f"{answer!r} has blanks around it: strip them")
            require(
                answer is None or len(answer.splitlines()) < 2,
                f"{answer!r} has line ends inside: put blanks in their place",
            )


def repeatable(subject: Subject) -> None:
    """Two builds give the same words, whatever the global random states, when called once or twice."""
    results = []
    with made_up_recordings() as recordings:
        for seed in (1, 2):
            with global_seeds(seed):
                transcriber = _built(subject)
                results += [transcriber(recordings), transcriber(recordings)]
    require(
        all(answers == results[0] for answers in results),
        f"two builds, each asked twice, give four answers: {results}",
    )


def labels(subject: Subject) -> None:
    """Words do not depend on the speaker, the votes or the split."""
    with made_up_recordings() as recordings:
        answers = _built(subject)(recordings)
        otherwise = _built(subject)([described_otherwise(recording) for recording in recordings])
    require(otherwise == answers, f"with another speaker and other labels the answers are {otherwise}, not {answers}")


def source(subject: Subject) -> None:
    """`source` names where the words come from and is the same in every build. Manifests record it."""
    name = _built(subject).source
    require(isinstance(name, str) and name.strip() != "", f"`source` should be a text, got {name!r}")
    require(_built(subject).source == name, f"two builds name two sources, {name!r} is one of them")


def input_unchanged(subject: Subject) -> None:
    """Recordings and their samples are not changed."""
    with made_up_recordings() as recordings:
        before = samples_of(recordings)
        utterances = [recording.utterance for recording in recordings]
        given = list(recordings)
        _built(subject)(given)
        require(given == recordings, "the list of recordings was changed")
        require([recording.utterance for recording in recordings] == utterances, "an utterance was changed")
        for recording, samples in zip(recordings, before, strict=True):
            require(bool((recording.waveform() == samples).all()), "the samples were changed in place: copy them")


CONTRACTS = (one_answer, order, neighbours, no_recordings, plain_words, repeatable, labels, source, input_unchanged)


def _built(subject: Subject) -> Transcriber:
    transcriber: Transcriber = subject.build()
    return transcriber
