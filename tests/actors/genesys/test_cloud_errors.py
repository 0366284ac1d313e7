"""What a refusal says, in whatever form."""

from __future__ import annotations

import pytest

from actors.genesys.cloud_errors import refusal


@pytest.mark.parametrize(
    ("body", "said", "permissions"),
    [
        (b'{"error":"invalid_token","error_description":"it ended"}', "it ended", ()),
        (b'{"error":{"message":"no","code":"x"}}', "no", ()),
        (b'{"error":{"code":"x.y"}}', "x.y", ()),
        (b'{"errors":[{"message":"no such user"},{"message":"nor this"}]}', "no such user", ()),
        (b'{"message":"","errors":[]}', "", ()),
        (b'{"errors":[["deep",["deeper"]]]}', "", ()),
        (b'[{"message":"half \\ud83d"}]', "half \ufffd", ()),
        (
            b'{"message":"missing permission(s) [routing:queue:view, directory:user:view]"}',
            "missing permission(s) [routing:queue:view, directory:user:view]",
            ("routing:queue:view", "directory:user:view"),
        ),
        (b'{"missingPermissions":["a:b:c"]}', "", ("a:b:c",)),
        (b'{"messageParams":{"permissions":null},"message":5}', "", ()),
    ],
)
def test_a_refusal_is_understood_in_other_forms(
    body: bytes, said: str, permissions: tuple[str, ...]
) -> None:
    error = refusal("x", 403, {}, body)
    assert (error.message, error.missing_permissions) == (said, permissions)
