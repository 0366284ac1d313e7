"""`python -m tests.fuzzing`: coverage-guided fuzzing of what others write, ten minutes each target.

Inputs that reach new code are kept in a scratch folder, beside the small corpus of the repository.
A finding ends the run with exit code 77; its input is written where `--artifacts` says.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

CORPUS: Final = Path(__file__).parent / "corpus"
SECONDS: Final = 600
INPUT_BYTES_MAX: Final = 4_096
INPUT_S_MAX: Final = 10
MEMORY_MB_MAX: Final = 2_048
COMPILED_TOO: Final = ("actors", "runtime.printable")
NAMES: Final = ("settings", "csv", "tokens", "rest", "frames")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--target", choices=NAMES, help="default: all, one after the other")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--artifacts", type=Path, default=Path("fuzzing-findings"))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        return fuzz(asked.target, asked.seconds, asked.artifacts)
    for name in [asked.target] if asked.target else NAMES:
        command = [sys.executable, "-m", "tests.fuzzing", "--here", "--target", name]
        command += ["--seconds", str(asked.seconds), "--artifacts", str(asked.artifacts)]
        print(f"{name}: {asked.seconds} s", flush=True)
        if code := subprocess.run(command, check=False).returncode:
            print(f"{name}: a finding; its input is in {asked.artifacts}", file=sys.stderr)
            return code
    return 0


def fuzz(name: str, seconds: int, artifacts: Path) -> int:
    """In a process of its own: libFuzzer ends it."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ModuleNotFoundError:
        print("atheris is not installed: make fuzz, or pip install --require-hashes "
              "-r requirements/fuzz.txt (Python 3.11 to 3.13)", file=sys.stderr)  # fmt: skip
        return 69
    for variable in [each for each in os.environ if each.startswith(("PRESENCE_", "GENESYS"))]:
        del os.environ[variable]
    with atheris.instrument_imports(include=list(COMPILED_TOO)):
        from tests.fuzzing.targets import TARGETS
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        arguments = [
            sys.argv[0], found, str(CORPUS / name), f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_S_MAX}",
            f"-rss_limit_mb={MEMORY_MB_MAX}", f"-artifact_prefix={artifacts}/{name}-",
            "-print_final_stats=1", "-verbosity=1",
        ]  # fmt: skip
        atheris.Setup(arguments, TARGETS[name])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
