"""A chat model asked for one text, outside of any conversation."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from xiaozhi_persona.spine import ChatModel, Message

MAX_CHARS = 20_000
"""What a model writes beyond this is not read."""


def asks(model: ChatModel) -> Callable[[str, str], Awaitable[str]]:
    """Return what gives a model instructions and a text, and returns what it writes. That raises ServiceError."""

    async def ask(instructions: str, text: str) -> str:
        written = ""
        stream = model.stream([Message("system", instructions), Message("user", text)])
        async with contextlib.aclosing(stream) as deltas:
            async for delta in deltas:
                written += delta.text
                if len(written) > MAX_CHARS:
                    break
        return written

    return ask
