"""Owns what the platform API's refusals mean: one error type for each that is met differently.
Pure.

It knows no call. A text of ours holds neither a channel's id, which is a secret, nor whom it was
about (protocol.md §2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from actors.genesys.json_text import parsed
from actors.genesys.retry_after import asked_wait_s
from runtime.errors import RemoteError

MESSAGE_CHARS_MAX: Final = 300
CODE_CHARS_MAX: Final = 100
PERMISSIONS_MAX: Final = 20
DETAILS_BYTES_MAX: Final = 65_536
TEXT_FIELDS: Final = (
    "message",
    "error_description",
    "description",
    "error",
    "userMessage",
    "errors",
)
_PERMISSION: Final = re.compile(r"\b[a-z][A-Za-z]{2,40}:[A-Za-z]{2,40}:[A-Za-z*]{2,40}\b")


class CloudError(RemoteError):
    """A call that gave nothing. `status` is 0 if there was no answer."""

    is_passing: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody's doing."""

    def __init__(
        self,
        call: str,
        status: int,
        *,
        code: str = "",
        message: str = "",
        context_id: str = "",
        retry_after: float | None = None,
        missing_permissions: tuple[str, ...] = (),
        details: str = "",
    ) -> None:
        answer = " ".join(each for each in (str(status or ""), code) if each)
        shown = ": ".join(each for each in (call, answer, message) if each)
        super().__init__(shown + (f" (context {context_id})" if context_id else ""))
        self.status = status
        self.code = code
        self.message = message
        self.context_id = context_id
        self.retry_after_s = retry_after
        self.missing_permissions = missing_permissions
        self.details = details
        """All that the answer says, in lower case, to look for names in; never shown."""


class NoAnswerError(CloudError):
    """Network, TLS, proxy, timeout: nobody knows whether the call was carried out."""

    is_passing = True


class NoTokenError(CloudError):
    """The call was never made."""

    is_passing = True


class UnauthorisedError(CloudError):
    """401, with a fresh token as well."""

    is_passing = True  # a secret may be rotated, a client enabled again


class ForbiddenError(CloudError):
    """403: a role lacks what `missing_permissions` names, if it says so."""


class NotFoundError(CloudError):
    """404."""


class RateLimitedError(CloudError):
    """429: the budget waits by itself; the call was not carried out."""

    is_passing = True


class RefusedError(CloudError):
    """Any other 4xx: the call is wrong."""


class FailedError(CloudError):
    """5xx."""

    is_passing = True


class OddAnswerError(CloudError):
    """An answer that breaks the contract."""

    is_passing = True


class DistrustedError(OddAnswerError):
    """An answer that sends us where we must not go (protocol.md R15)."""

    is_passing = False


_BY_STATUS: Final[dict[int, type[CloudError]]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorisedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


def refusal(
    call: str, status: int, headers: Mapping[str, str], body: bytes, wall_us: int = 0
) -> CloudError:
    """What an answer that is no success means. The envelope may be absent, or anything at all."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind: type[CloudError] = FailedError
    elif status < HTTPStatus.BAD_REQUEST:
        kind = OddAnswerError
    else:
        kind = _BY_STATUS.get(status, RefusedError)
    envelope = _envelope(body)
    message = message_of(envelope)
    return kind(
        call,
        status,
        code=_text(envelope.get("code"), CODE_CHARS_MAX),
        message=message,
        context_id=_text(envelope.get("contextId"), CODE_CHARS_MAX),
        retry_after=asked_wait_s(headers, wall_us),
        missing_permissions=_permissions(envelope) or tuple(_named_in(message)),
        details=body[:DETAILS_BYTES_MAX].decode("utf-8", "replace").lower(),
    )


def message_of(envelope: Mapping[str, Any], depth: int = 2) -> str:
    """What an envelope says in words: as the platform has it, as OAuth does (`error_description`,
    `error`), or as an object within one of these, or the first of several."""
    for field in TEXT_FIELDS:
        value = envelope.get(field)
        if isinstance(value, list) and value:
            value = value[0]
        said = _text(value, MESSAGE_CHARS_MAX)
        if not said and isinstance(value, dict) and depth:
            said = message_of(value, depth - 1) or _text(value.get("code"), CODE_CHARS_MAX)
        if said:
            return said
    return ""


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        envelope = parsed(body)
    except ValueError:
        return {}
    if isinstance(envelope, list) and envelope:
        envelope = envelope[0]
    return envelope if isinstance(envelope, dict) else {}


def _permissions(envelope: Mapping[str, Any]) -> tuple[str, ...]:
    params = envelope.get("messageParams")
    inner = params.get("permissions") if isinstance(params, dict) else None
    return permissions(inner) or permissions(envelope.get("missingPermissions"))


def _named_in(message: str) -> list[str]:
    """Names of permissions within a sentence, such as `routing:queue:view`."""
    return list(dict.fromkeys(_PERMISSION.findall(message)))[:PERMISSIONS_MAX]


def permissions(names: object) -> tuple[str, ...]:
    """Names of permissions: a list of them, or one text with commas or brackets."""
    if isinstance(names, str):
        names = names.strip("[]").split(",")
    if not isinstance(names, list):
        return ()
    told = (name.strip() for name in names if isinstance(name, str))
    return tuple(name[:CODE_CHARS_MAX] for name in told if name)[:PERMISSIONS_MAX]


def _text(value: object, chars_max: int) -> str:
    """In one line, whatever it was."""
    return " ".join(value.split())[:chars_max] if isinstance(value, str) else ""
