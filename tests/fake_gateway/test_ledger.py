"""The ledger: whole lines, in order, readable after a kill."""

from __future__ import annotations

from pathlib import Path

from tools.fake_gateway.ledger import LEDGER_NAME, Ledger, read_ledger


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "made" / "on demand")
    ledger.write("run", script={"seed": 7})
    ledger.sent(1, 10, 19, 123)
    ledger.close()
    assert list(read_ledger(ledger.directory)) == [
        {"kind": "run", "script": {"seed": 7}},
        {"kind": "sent", "socket": 1, "first": 10, "last": 19, "at_us": 123},
    ]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.sent(1, 10, 19, 123)
    ledger.flush()
    with (tmp_path / LEDGER_NAME).open("ab") as file:
        file.write(b'{"kind":"sent","sock')
    assert len(list(read_ledger(tmp_path))) == 1
    ledger.close()
