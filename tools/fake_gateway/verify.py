"""The command `verify`: by a ledger's dialect, told as JSON and as an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tools.fake_gateway.cloud.verify import CloudVerification
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.journals import JournalError
from tools.fake_gateway.ledger import LedgerError, dialect_of
from tools.fake_gateway.verification import Verification
from tools.fake_gateway.wsp.verify import WspVerification

EXIT_VERIFIED, EXIT_FINDINGS, EXIT_UNUSABLE = 0, 1, 2
DIALECTS: Mapping[str, type[Verification]] = {"wsp": WspVerification, "cloud": CloudVerification}


def verify(ledger: Path, data: Path, **how: Any) -> dict[str, Any]:
    """`how`: see Verification. Raises LedgerError or JournalError."""
    return DIALECTS[dialect_of(ledger)](ledger, data, **how).verify()


def run(
    ledger: Path,
    data: Path,
    *,
    journal: str = "full",
    to_newest: bool = False,
    give_up_after_s: float = GIVE_UP_AFTER_S,
    json_file: Path | None = None,
    shown_file: Path | None = None,
) -> int:
    """Prints the result and returns the exit code."""
    gc.disable()  # millions of small tuples, none of them in a cycle
    try:
        result = verify(
            ledger,
            data,
            is_journalled=journal == "full",
            to_newest=to_newest,
            give_up_after_s=give_up_after_s,
            shown=None if shown_file is None else orjson.loads(shown_file.read_bytes()),
        )
    except (LedgerError, JournalError, OSError, orjson.JSONDecodeError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    finally:
        gc.enable()
    text = orjson.dumps(result, option=orjson.OPT_INDENT_2).decode()
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return EXIT_VERIFIED if result["verified"] else EXIT_FINDINGS
