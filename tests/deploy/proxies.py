"""Proxies: the real nginx, HAProxy and Caddy before a page, as documented or bare.

`make test` unpacks Debian's beside the environment; those of PATH serve as well.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.deploy.operations_page import PAGE

UNPACKED: Final = Path(sys.prefix) / "proxies"
PATIENCE_S: Final = 20.0
_NGINX: Final = """daemon off; user root; worker_processes 1;
pid {folder}/pid; error_log {folder}/log;
events {{}}
http {{
access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
{text}
}}
"""
_BARE_NGINX: Final = (
    "server {{ listen {at}; location / {{ proxy_pass http://127.0.0.1:{page}; {more} }} }}"
)
_BARE_HAPROXY: Final = """defaults
    mode {mode}
    timeout connect 2s
    timeout client 1h
    timeout server 1h
frontend f
    bind {at}
    default_backend b
backend b
    server s 127.0.0.1:{page}
"""
_CADDY: Final = "{{\n admin off\n auto_https off\n}}\n{text}"


class Way(NamedTuple):
    """A proxy, and what stands in its file. `{at}`, `{page}`, `{probes}`: where each is."""

    name: str
    program: str
    text: str
    is_documented: bool = False


def documented(language: str) -> str:
    """The block of docs/operations.md with our addresses in it."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text = str(block).replace("{", "{{").replace("}", "}}")
    assert text.count("127.0.0.1:8321") == 1
    text = text.replace("127.0.0.1:8321", "127.0.0.1:{page}").replace("8322", "{probes}")
    # No certificate of ours is one.
    text = text.replace("listen 443 ssl;", "listen {at};")
    text = re.sub(r"    ssl_certificate.*\n", "", text)
    text = re.sub(r"bind :443 ssl crt \S+", "bind {at}", text)
    return text.replace("wall.example.com {{", "http://:{port} {{\n    bind {host}")


WAYS: Final = (
    Way("nginx as documented", "nginx", documented("nginx"), True),
    Way("HAProxy as documented", "haproxy", documented("haproxy"), True),
    Way("Caddy as documented", "caddy", documented("caddy"), True),
    Way("nginx, nothing but proxy_pass", "nginx", _BARE_NGINX.replace("{more}", "")),
    Way("nginx in HTTP/1.1", "nginx", _BARE_NGINX.replace("{more}", "proxy_http_version 1.1;")),
    Way("nginx that passes Host on", "nginx", _BARE_NGINX.replace(
        "{more}", "proxy_http_version 1.1; proxy_set_header Host $http_host;")),
    Way("nginx that calls us localhost", "nginx", _BARE_NGINX.replace(
        "{more}", "proxy_http_version 1.1; proxy_set_header Host localhost;")),
    Way("HAProxy without options", "haproxy", _BARE_HAPROXY.replace("{mode}", "http")),
    Way("HAProxy over TCP", "haproxy", _BARE_HAPROXY.replace("{mode}", "tcp")),
)  # fmt: skip


def program(name: str) -> str:
    """Skips the test where there is none."""
    found = shutil.which(UNPACKED / name) or shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if found is None:
        pytest.skip(f"there is no {name}: `make test` unpacks Debian's where there is apt-get")
    return found


@contextmanager
def running(way: Way, host: str, page: int, probes: int, folder: Path) -> Iterator[int]:
    """The port at which it serves."""
    path = program(way.program)
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    text = way.text.format(at=f"{host}:{port}", host=host, port=port, page=page, probes=probes)
    settings = folder / way.program
    if way.program == "nginx":
        settings.write_text(_NGINX.format(folder=folder, text=text))
        command = [path, "-e", f"{folder}/log", "-c", str(settings)]
    elif way.program == "haproxy":
        settings.write_text(text)
        command = [path, "-db", "-f", str(settings)]
    else:
        settings.write_text(_CADDY.format(text=text))
        command = [path, "run", "--adapter", "caddyfile", "--config", str(settings)]
    libraries = ":".join(map(str, (UNPACKED / "lib").glob("*-linux-gnu")))
    environment = os.environ | {"LD_LIBRARY_PATH": libraries, "HOME": str(folder)}
    environment |= {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        _until_served(process, host, port, folder)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _until_served(process: subprocess.Popen[bytes], host: str, port: int, folder: Path) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            said = (folder / "said").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline_s, said
            time.sleep(0.05)
        else:
            return
