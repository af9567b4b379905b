"""The way from our loop into the host: its audio queue, and the face on the device's screen."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import queue
from typing import Any

from core.handle.sendAudioHandle import sendAudioMessage
from core.providers.tts.dto.dto import SentenceType

from xiaozhi_persona.text.emotions import FACES

KNOWS_SENTENCE_ID = "sentence_id" in inspect.signature(sendAudioMessage).parameters
"""From 0.9.3 on: sound carries the id of its turn, and what belongs to an old turn is dropped."""


class DeviceOutput:
    """Where one reply goes: a ReplyOutput of reply.py. The host's own threads take it from there."""

    def __init__(
        self, connection: Any, audio_queue: queue.Queue[Any], sentence_id: str, *, shows_faces: bool
    ) -> None:
        self._connection = connection
        self._audio_queue = audio_queue
        self._sentence_id = sentence_id
        self._shows_faces = shows_faces

    def is_over(self) -> bool:
        """Whether the user interrupted, spoke again or hung up. An interruption is taken back by the next turn."""
        connection = self._connection
        is_old = connection.sentence_id != self._sentence_id
        return bool(connection.client_abort or is_old or connection.stop_event.is_set())

    def sentence(self, subtitle: str) -> None:
        """A sentence begins."""
        self._put(SentenceType.FIRST, None, subtitle)

    def packet(self, packet: bytes) -> None:
        """One Opus packet of the sentence."""
        self._put(SentenceType.MIDDLE, packet, None)

    def last(self) -> None:
        """All was said."""
        self._put(SentenceType.LAST, [], None)

    def face(self, face: str) -> None:
        """Show one of the 21 device emotions now."""
        if not self._shows_faces or self.is_over():
            return
        message = {
            "type": "llm",
            "text": FACES[face],
            "emotion": face,
            "session_id": self._connection.session_id,
        }
        asyncio.run_coroutine_threadsafe(self._send(json.dumps(message)), self._connection.loop)

    async def _send(self, message: str) -> None:
        with contextlib.suppress(Exception):  # the connection may close at any moment
            await self._connection.websocket.send(message)

    def _put(self, kind: SentenceType, sound: bytes | list[bytes] | None, text: str | None) -> None:
        item = (kind, sound, text)
        self._audio_queue.put((*item, self._sentence_id) if KNOWS_SENTENCE_ID else item)


def take_over_faces(connection: Any) -> bool:
    """Keep the host from showing a face of its own at each reply; return whether the device shows faces.

    From 0.9.4 on the host asks `features.emoji`, and shows "happy" for every reply that begins with no emoji.
    """
    features = connection.features if isinstance(connection.features, dict) else {}
    shows_faces = bool(features.get("emoji", True))
    connection.features = {**features, "emoji": False}
    return shows_faces
