"""Which secrets of the environment go to the hub: its own token, whatever a card or a recipe names."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="needs the extra hf")
SECRETS = {"GITHUB_TOKEN": "ghp_mine", "AWS_SECRET_ACCESS_KEY": "aws_mine", "MY_HF_TOKEN": "hf_of_another"}


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """A hub that has nothing: its address, and all that it was sent beside the path."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(f"{self.path} {dict(self.headers)}")
            self.send_response(404)
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def build_from_card(endpoint: str, options: str, **environment: str) -> str:
    """What the encoder `hf_speech` of a card says, in a process that has secrets."""
    code = f"""
from sertk.cards import EncoderSpec
from sertk.encoders.checkpoint import build_encoder
from sertk.errors import SertkError
try:
    build_encoder(EncoderSpec("hf_speech", {options}, "0" * 64, "speech", 4, 50.0))
except SertkError as error:
    print(error)
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE"))}
    given = {**kept, **SECRETS, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("variable", SECRETS)
def test_a_card_cannot_name_the_variable_that_goes_to_the_hub(
    variable: str, hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, received = hub
    options = f"{{'model': 'lab/model', 'token_variable': {variable!r}}}"
    said = build_from_card(endpoint, options, HF_HOME=str(tmp_path))
    assert "'hf_speech' has no option 'token_variable'" in said
    assert not any(secret in request for secret in SECRETS.values() for request in received)


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_the_hubs_own_variable_is_sent_and_no_other(
    variable: str, hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, received = hub
    said = build_from_card(endpoint, "{'model': 'lab/model'}", HF_HOME=str(tmp_path), **{variable: "hf_ours"})
    assert "the hub did not give it" in said
    assert any("Bearer hf_ours" in request for request in received)
    assert not any(secret in request for secret in SECRETS.values() for request in received)
