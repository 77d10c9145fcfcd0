"""The licence of a public checkpoint, as the head of its page says."""

from __future__ import annotations

import re
from pathlib import Path

from sertk.pretrained import Pretrained

UNKNOWN = "not stated in its files: look at its page before use"
LARGEST = 1 << 20


def licence_of(source: Pretrained, revision: str | None) -> str:
    """`license` (and `license_name`) in the front matter of README.md, of the folder or of the hub."""
    path = source.folder / "README.md"
    if not path.is_file() and revision is not None:
        path = _from_hub(source.name, revision) or path
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(LARGEST)
    except OSError:
        return UNKNOWN
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    fields = dict(
        re.findall(r"(?m)^(license|license_name|license_link):\s*['\"]?([^'\"\n#]+)", front[1] if front else "")
    )
    words = [fields[key].strip() for key in ("license", "license_name", "license_link") if key in fields]
    return ", ".join(words) or UNKNOWN


def _from_hub(name: str, revision: str) -> Path | None:
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(name, "README.md", revision=revision))
    except Exception:  # no connection, no page: its own errors, of requests or httpx by version, OSError
        return None
