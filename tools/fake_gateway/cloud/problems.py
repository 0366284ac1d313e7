"""Problems: how the platform API says no (protocol.md §2.1). Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A call that is refused, with what the envelope says."""

    def __init__(
        self, status: int, code: str, message: str, params: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.params = dict(params or {})
        self.headers: dict[str, str] = {}

    def envelope(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "messageParams": self.params,
            "contextId": str(uuid.uuid4()),
            "details": [],
            "errors": [],
        }


def not_found(what: str) -> ApiError:
    return ApiError(404, "not.found", f"{what} was not found", {"entity": what})


def bad_request(message: str, code: str = "bad.request") -> ApiError:
    return ApiError(400, code, message)


def missing_permission(*permissions: str) -> ApiError:
    names = ", ".join(permissions)
    return ApiError(
        403,
        "missing.any.permissions",
        f"Unable to perform the requested action. You are missing the following permission(s):"
        f" {names}",
        {"permissions": names},
    )
