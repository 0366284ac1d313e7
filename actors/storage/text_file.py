"""TextFile: the text of a file that a person has made, whatever editor or tool has written it.

Knows no setting. A byte order mark and any ends of lines are taken; another encoding than UTF-8 is
named, with the way out, since what is guessed wrong would be a wrong secret or a wrong name.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final


class EncodingError(ValueError):
    """The text is not UTF-8. `encoding`: what it seems to be, as iconv calls it; `line`: the first
    one that shows it, 0 if all do."""

    def __init__(self, reason: str, encoding: str, line: int = 0) -> None:
        super().__init__(reason)
        self.encoding = encoding
        self.line = line


_MARKS: Final = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""In this order: the mark of UTF-32 begins with that of UTF-16."""
LATIN: Final = "WINDOWS-1252"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_ZEROS_LEAST: Final = 0.8  # of every other byte: Western text in UTF-16 without a mark
_LOOKED_AT_BYTES: Final = (16, 4096)  # a header may be Western and the rest not


def read_text(path: Path, bytes_max: int) -> str:
    """The text of a regular file, its lines ended by `\n`. Raises OSError, and ValueError that says
    what is wrong with the content and what to do, and shows none of it."""
    # Not blocking: nobody may ever write into a pipe that stands there by mistake.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("not a regular file")
        content = bytearray()
        while len(content) <= bytes_max and (part := os.read(fd, bytes_max + 1 - len(content))):
            content += part
    finally:
        os.close(fd)
    if len(content) > bytes_max:
        raise ValueError(f"over {bytes_max:,} bytes")
    return text_of(bytes(content))


def text_of(content: bytes) -> str:
    """The same of bytes that have been read. Raises EncodingError."""
    if encoding := _marked(content):
        raise EncodingError(
            f"it is {encoding}, as written by PowerShell's `>` or Notepad's \"Unicode\"; save it "
            f"as UTF-8, or convert it: iconv -f {encoding} -t UTF-8 OLD > NEW",
            encoding,
        )
    try:
        text = content.removeprefix(_UTF8_MARK).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EncodingError(
            f"line {line} is not UTF-8 (possibly Latin-1 or Windows-1252); save it as UTF-8, or "
            "convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
            LATIN,
            line,
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def secret_of(text: str) -> str:
    """The one line of a file that holds nothing else, without blanks, NULs and marks around it.
    Raises ValueError for none, or for several."""
    lines = [each for line in text.split("\n") if (each := _bare(line))]
    if not lines:
        raise ValueError("the file is empty")
    if len(lines) > 1:
        raise ValueError(f"it has {len(lines)} lines; it must contain only the value, on one line")
    return lines[0]


def _bare(line: str) -> str:
    """Byte order marks and NULs stand between blanks, too."""
    return line.strip(" \t\v\f\0\ufeff\u200b\u00a0")


def _marked(content: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    for looked_at in _LOOKED_AT_BYTES:
        some = content[:looked_at]
        for encoding, half in (("UTF-16BE", some[0::2]), ("UTF-16LE", some[1::2])):
            zeros = half.count(0)
            others = some.count(0) - zeros  # many: no text but what a short one was padded with
            most = _ZEROS_LEAST * len(half)
            if len(some) >= 4 and zeros >= most and others <= len(half) - most:
                return encoding
    return ""
