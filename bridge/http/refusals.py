"""What a program is told when it does not get what it asks for: JSON with what is wrong and the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

OPENAI_PATHS = "/v1/"
API_PATHS = (OPENAI_PATHS, "/api/")


class Refusal(web.HTTPException):
    """Ends a request with {error, next_step}.

    Under /v1 `error` is an object with a message, a type and a code, as clients of OpenAI's API read it; elsewhere it is
    the message itself.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        status: int,
        message: str,
        next_step: str,
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = status
        error: Any = message
        if request.path.startswith(OPENAI_PATHS):
            kind = "server_error" if status >= 500 else "invalid_request_error"
            error = {"message": message, "type": kind, "param": None, "code": code or None}
        super().__init__(
            headers=headers,
            text=json.dumps({"error": error, "next_step": next_step}, ensure_ascii=False),
            content_type="application/json",
        )


def is_api(request: web.BaseRequest) -> bool:
    """Whether a request is for the interfaces of other programs."""
    return request.path.startswith(API_PATHS)
