"""What we say over a connection of the host on our own account, without its chat model.

It goes through the queue into which the host's chat() puts a reply, so that whichever voice is selected speaks it.
Nothing of it stands in the dialogue: a plain 好的 there teaches the model to answer commands without calling a tool.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from core.handle.abortHandle import handleAbortMessage
from core.handle.sendAudioHandle import send_stt_message, send_tts_message
from core.providers.tts.dto.dto import ContentType, SentenceType, TTSMessageDTO

from xiaozhi_persona.providers.host.connection import is_chatting
from xiaozhi_persona.providers.host.device_output import KNOWS_SENTENCE_ID, DeviceOutput

VOICE_S = 3.0
"""How long a connection's voice is waited for: it is made while the first words may already come."""
_OLD_REPLY_S = 4.0
_POLL_S = 0.02


class OwnWords:
    """One turn in which we speak. The methods belong on the host's loop, and are called in this order."""

    def __init__(self, connection: Any) -> None:
        """Begin a turn: what belongs to the one before is no longer sent."""
        self._connection = connection
        self._sentence_id = uuid.uuid4().hex
        self._is_begun = False
        connection.sentence_id = self._sentence_id
        # Before 0.9.3 sentences carry no turn: the old reply has to end before ours begins.
        self._cuts_reply = not KNOWS_SENTENCE_ID and is_chatting(connection)
        connection.client_abort = self._cuts_reply
        if not KNOWS_SENTENCE_ID:
            connection.clear_queues()

    @property
    def is_over(self) -> bool:
        """Whether the user interrupted, spoke again or hung up."""
        connection = self._connection
        if connection.stop_event.is_set() or connection.sentence_id != self._sentence_id:
            return True
        return bool(connection.client_abort and KNOWS_SENTENCE_ID)

    @property
    def is_heard(self) -> bool:
        """Whether sound of this turn has been sent."""
        flow = getattr(self._connection, "audio_flow_control", {})
        return bool(flow.get("sentence_id") == self._sentence_id and flow.get("packet_count"))

    async def show(self, text: str | None) -> None:
        """Tell the device what was heard, and that it is answered; None where nobody said anything."""
        if text is None:
            await send_tts_message(self._connection, "start")
            self._connection.client_is_speaking = True
        else:
            await send_stt_message(self._connection, text)

    async def wait_for_voice(self) -> bool:
        """Wait until the voice is there and the old reply is quiet; return whether we may still speak."""
        connection, loop = self._connection, asyncio.get_running_loop()
        deadline = loop.time() + VOICE_S
        while connection.tts is None and not self.is_over and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        if self._cuts_reply:
            self._cuts_reply = False
            await self._cut_reply(loop.time() + _OLD_REPLY_S)
        return connection.tts is not None and not self.is_over

    def begin(self) -> None:
        """Open the turn for the voice; a tool of the host that plays music needs it open."""
        if not self._is_begun:
            self._is_begun = True
            self._put(SentenceType.FIRST)

    def say(self, sentences: Sequence[str]) -> None:
        """Speak these."""
        self.begin()
        text = "".join(sentences)
        tts = self._connection.tts
        if hasattr(tts, "store_tts_text"):
            tts.store_tts_text(self._sentence_id, text)  # some voices take the subtitle from there
        else:
            self._connection.tts_MessageText = text
        for sentence in sentences:
            self._put(SentenceType.MIDDLE, sentence)

    async def end(self) -> None:
        """End the turn, whatever was said in it; the host then tells the device, and closes if it is to."""
        connection = self._connection
        if self.is_over:
            return
        if self._is_begun:
            self._put(SentenceType.LAST)
        elif connection.tts is not None:
            # Past the voice: one whose reply has no words may apologize, or wait for some.
            DeviceOutput(
                connection, connection.tts.tts_audio_queue, self._sentence_id, shows_faces=False
            ).last()
        else:
            await send_tts_message(connection, "stop")

    async def stop(self) -> None:
        """End whatever sounds, as the host does when the device aborts."""
        if not self.is_over:
            await handleAbortMessage(self._connection)

    async def _cut_reply(self, deadline: float) -> None:
        """Have the chat() that still writes the old reply leave, and forget what it has written."""
        connection, loop = self._connection, asyncio.get_running_loop()
        while is_chatting(connection) and not self.is_over and loop.time() < deadline:
            connection.client_abort = True  # again and again: it takes it back when its model begins
            await asyncio.sleep(_POLL_S)
        if not self.is_over:
            connection.clear_queues()
            connection.client_abort = False

    def _put(self, kind: SentenceType, text: str | None = None) -> None:
        content = ContentType.ACTION if text is None else ContentType.TEXT
        self._connection.tts.tts_text_queue.put(
            TTSMessageDTO(self._sentence_id, kind, content, content_detail=text)
        )
