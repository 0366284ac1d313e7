"""What is skipped: fine on a desk, a failure where CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SKIPPED = "import pytest\n\n\ndef test_of_a_browser():\n    pytest.skip('there is none')\n"
XFAILED = "import pytest\n\n\n@pytest.mark.xfail\ndef test_of_a_bug():\n    assert False\n"
PASSED = "def test_of_a_fact():\n    pass\n"


def suite(folder: Path, ci: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same conftest.py, in a folder of its own."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *arguments],
        cwd=folder,
        env=environment | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("text", "ci", "exit_code"),
    [
        (SKIPPED + PASSED, "true", pytest.ExitCode.TESTS_FAILED),
        (SKIPPED + PASSED, "", pytest.ExitCode.OK),
        (SKIPPED + PASSED, "false", pytest.ExitCode.OK),
        (XFAILED + PASSED, "true", pytest.ExitCode.OK),
    ],
)
def test_where_ci_is_true_a_skipped_test_is_a_failure_that_is_named(
    text: str, ci: str, exit_code: int, workers: str, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(text)
    done = suite(tmp_path, ci, "-n", workers)
    assert done.returncode == exit_code, done.stdout + done.stderr
    line = "CI=true, and 1 skipped: test_it.py::test_of_a_browser"
    assert (line in done.stdout) is (exit_code != 0)


def test_a_file_that_is_skipped_as_a_whole_counts(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    (tmp_path / "test_more.py").write_text(PASSED)
    assert suite(tmp_path, "true").returncode == pytest.ExitCode.TESTS_FAILED
