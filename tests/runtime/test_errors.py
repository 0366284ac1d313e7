from __future__ import annotations

import os

import pytest

from runtime import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.RuntimeFault, 1),
        (errors.LocalError, 1),
        (errors.RemoteError, 1),
        (errors.TemporaryError, os.EX_TEMPFAIL),
        (errors.ConfigurationError, os.EX_CONFIG),
    ],
)
def test_each_fault_names_the_exit_code_that_a_service_manager_understands(
    kind: type[errors.RuntimeFault], exit_code: int
) -> None:
    assert kind("why").exit_code == exit_code
    assert isinstance(kind("why"), errors.RuntimeFault)
    assert str(kind("why")) == "why"
