"""The container file: a linter finds nothing, the image is small, and it tells its health.

What it copies and as whom it runs: `test_unit`.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from actors.settings.model import ENVIRONMENT_PREFIX
from tests.deploy.promtool import DEPLOY

ROOT = DEPLOY.parent
CONTAINER = DEPLOY / "Containerfile"
TEXT = CONTAINER.read_text(encoding="utf-8")
COPIED = {
    source
    for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
    for source in line.split()[:-1]
}


def test_the_linter_finds_nothing() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "hadolint"
    assert linter.exists(), "hadolint is not installed: pip install --group test"
    done = subprocess.run(
        [linter, "--no-color", CONTAINER], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {line[1:] for line in rules if line.startswith("!")}
    assert {path for path in sent if (ROOT / path).exists()} == COPIED
    last = [line for line in rules[1:] if not line.startswith("!")]
    assert rules[-len(last) :] == last  # the last rule that fits decides
    assert {"**/*.so", "**/__pycache__"} <= set(last)  # of another Python, on another machine


def test_both_stages_start_from_one_base_whose_digest_and_version_are_named() -> None:
    bases = set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE))
    assert len(bases) == 1
    version = re.fullmatch(
        r"docker\.io/library/python:(3\.\d+)-slim-[a-z]+@sha256:[0-9a-f]{64}", bases.pop()
    )
    assert version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(version[1])


def test_the_image_has_no_compiler_and_no_pip() -> None:
    final = TEXT.rpartition("\nFROM ")[2]
    assert "apt-get" not in final
    assert "--without-pip" in TEXT


def test_secrets_are_mounted_for_its_user_alone() -> None:
    (user,) = re.findall(r"^USER ([1-9][0-9]+)$", TEXT, re.MULTILINE)
    assert f"--uid {user} --gid {user} " in TEXT
    assert TEXT.count(f"uid={user},mode=0400") == 2


def test_its_example_leads_to_genesys_cloud() -> None:
    head = TEXT.partition("\nFROM ")[0]
    for needed in ("DIALECT=cloud", "REGION=", "CLIENT_ID=", "CLIENT_SECRET_FILE="):
        assert f"-e {ENVIRONMENT_PREFIX}{needed}" in head


class Answer(http.server.BaseHTTPRequestHandler):
    """What `/livez` is answered; everything else is not there."""

    status = HTTPStatus.OK

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/livez" else HTTPStatus.NOT_FOUND)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def page(status: HTTPStatus) -> Iterator[int]:
    handler = type("Answer", (Answer,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health(listen: str) -> int:
    """The exit code of the command that the image asks for its health."""
    (written,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", TEXT, re.MULTILINE)
    program, *arguments = json.loads(written)
    assert program == "/opt/presence/bin/python"
    # A proxy of the environment is for the gateway, and never between a process and itself.
    environment = os.environ | {"PRESENCE_WEB__LISTEN": listen, "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize(
    ("status", "code"), [(HTTPStatus.OK, 0), (HTTPStatus.SERVICE_UNAVAILABLE, 1)]
)
def test_its_health_is_that_of_the_page(status: HTTPStatus, code: int) -> None:
    with page(status) as port:
        assert health(f"0.0.0.0:{port}") == code


def test_it_is_ill_where_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listening
        assert health(f"0.0.0.0:{closed.getsockname()[1]}") == 1
