"""Text files: whatever an editor puts around a text is taken, and another encoding is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.genesys.credentials import Credentials
from actors.storage.text_file import EncodingError, read_text, secret_of, text_of
from runtime.errors import ConfigurationError


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\nb\n", "a\nb\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\rb\r", "a\nb\n"),
        (b"\xef\xbb\xbfa\r\n", "a\n"),
        (b"", ""),
        ("Büro\n".encode(), "Büro\n"),
        (b"a\0b", "a\0b"),
    ],
)
def test_marks_and_ends_of_lines_are_taken(content: bytes, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_wide_encoding_is_named_with_the_way_out(encoding: str) -> None:
    name = encoding[:6].upper()
    with pytest.raises(ValueError, match=f"it is UTF.*iconv -f {name[:4]}") as caught:
        text_of("region = 'eu-central-1'\r\n".encode(encoding))
    assert "eu-central" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_without_a_mark_the_order_of_the_bytes_is_named_whatever_follows_the_first_line(
    encoding: str,
) -> None:
    with pytest.raises(EncodingError) as caught:
        text_of(f"user,state\n{'山田太郎' * 1000},busy\n".encode(encoding))
    assert caught.value.encoding == encoding.upper().replace("UTF-16-", "UTF-16")


def test_and_so_is_latin_1_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 2 is not UTF-8 .* iconv -f WINDOWS-1252"):
        text_of("a\n# Büro\n".encode("latin-1"))


@pytest.mark.parametrize(
    "content",
    [b"hunter2", b"hunter2\r\n", b"\xef\xbb\xbfhunter2\n", b" hunter2 \n\n", b"hunter2\0",
     b"hunter2" + bytes(25), b"hunter2" + bytes(9),
     b"hunter2\0\r\n", b"\n\thunter2\xc2\xa0\n", b"\xef\xbb\xbf\xef\xbb\xbfhunter2"],
)  # fmt: skip
def test_a_secret_is_the_one_line_without_what_stands_around_it(
    content: bytes, tmp_path: Path
) -> None:
    assert secret_of(text_of(content)) == "hunter2"
    (tmp_path / "s").write_bytes(content)
    given = Credentials(client_id="a", client_secret_file=tmp_path / "s")
    assert given() == ("a", "hunter2")


@pytest.mark.parametrize("content", [b"hunter2\nx\n", b"a\rb", b"", b"\0\n", b"\xef\xbb\xbf"])
def test_several_lines_or_none_are_no_secret_and_the_file_is_named(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"client_secret_file = .*/s: ") as caught:
        Credentials(client_id="a", client_secret_file=tmp_path / "s")()
    assert "hunter" not in str(caught.value)


def test_what_is_too_long_or_no_regular_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"x" * 11)
    with pytest.raises(ValueError, match="over 10 bytes"):
        read_text(tmp_path / "s", 10)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="not a regular file"):
            read_text(path, 10)
