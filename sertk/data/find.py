"""Recordings on their own, from files and folders: each with its words, and with what is wrong with its name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sertk.data.formats import how_to_convert, is_other_sound, is_recording
from sertk.data.ids import id_fault
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError, DataError, Fault


def find_recordings(paths: Iterable[Path], *, text: str | None = None) -> tuple[list[Recording], list[Fault]]:
    """The recordings among files and folders (searched through), each with its words (see `recording_of`).

    text: the words instead, for a single recording. What cannot be used for its name, its words or its format is left
    out and listed as a fault. Raises AudioError for a path that does not exist, DataError where there is nothing.
    """
    found, faults = find_files(paths)
    recordings, unfit = recordings_of(found, text=text)
    return recordings, [*faults, *unfit]


def find_files(paths: Iterable[Path]) -> tuple[list[Path], list[Fault]]:
    """The files among files and folders that may be recordings, each once, by name; a file that is named is taken.

    Sound and video that must be converted first is listed as a fault, as is a folder that cannot be searched. Raises
    AudioError for a path that does not exist, DataError where there is no recording.
    """
    found: list[Path] = []
    faults: list[Fault] = []
    for path in paths:
        if path.is_dir():
            files = _files_below(path, faults)
            found += [file for file in files if is_recording(file)]
            faults += [
                Fault(str(file), f"{file.suffix.lower()[1:]} is not supported; {how_to_convert(file)}")
                for file in files
                if is_other_sound(file)
            ]
        elif path.exists():
            found.append(path)
        else:
            raise AudioError(f"{path}: there is no such file or folder")
    if not found:
        first = f"; {len(faults)} must be converted first. {faults[0].place}: {faults[0].message}" if faults else ""
        raise DataError(f"no recording found (wav, flac, ogg, opus, mp3, aiff and others){first}")
    return [*dict.fromkeys(found)], faults


def recordings_of(
    paths: Iterable[Path], *, text: str | None = None, words: bool = True
) -> tuple[list[Recording], list[Fault]]:
    """Recordings of files; one whose name or words cannot be used is left out and listed as a fault.

    text: the words of a single one. words: look for the words of each. Raises DataError for one text and several
    recordings.
    """
    paths = list(paths)
    if text is not None and len(paths) != 1:
        raise DataError(
            f"one text for {len(paths)} recordings: put a .txt file with its words next to each recording instead"
        )
    recordings: list[Recording] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            recordings.append(recording_of(path, text=text, words=words))
        except AudioError as error:
            faults.append(Fault(str(path), str(error)))
    return recordings, faults


def recording_of(path: Path, *, text: str | None = None, words: bool = True) -> Recording:
    """A recording on its own. Its words: `text`, else `NAME.txt` beside it or in `../Transcripts`, else none.

    words: look for them. Raises AudioError for a name that no file of results could hold, and for words that are no
    UTF-8.
    """
    if fault := id_fault(str(path)):
        raise AudioError(f"{fault}: rename the file")
    if text is None and words:
        text = _words(path)
    return Recording(Utterance(id=str(path), audio=str(path.absolute()), text=text))


def _words(path: Path) -> str | None:
    beside = (path.with_suffix(".txt"), path.absolute().parent.parent / "Transcripts" / f"{path.stem}.txt")
    for file in beside:
        try:
            return file.read_bytes().decode("utf-8-sig").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            raise AudioError(f"{file}: the words cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise AudioError(
                f"{file}: the words are not UTF-8 (byte {error.start}): save the file as UTF-8"
            ) from None
    return None


def _files_below(folder: Path, faults: list[Fault]) -> list[Path]:
    def note(error: OSError) -> None:
        faults.append(Fault(str(error.filename), f"cannot be searched: {error.strerror}"))

    found = (Path(inner, name) for inner, _, names in os.walk(folder, onerror=note) for name in names)
    return sorted(path for path in found if path.is_file())
