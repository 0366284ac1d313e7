"""What the web child loads before it serves: a page that was killed is to be back soon."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
import actors.web.server
print([name for name in ("httpx", "picows", "actors.sender.loop_life") if name in sys.modules])
"""


def test_it_loads_no_client_of_a_gateway() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"
