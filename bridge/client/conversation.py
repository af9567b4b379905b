"""A connection on which somebody talks by a live microphone, turn after turn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.client.device import WAKE_WORD, Gap
from xiaozhi_persona.bridge.client.link import cancel
from xiaozhi_persona.bridge.client.sound import Microphone
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnLog
from xiaozhi_persona.bridge.client.uplink import Uplink
from xiaozhi_persona.bridge.messages import Listen, ServerMessage, Stt, Tts

SETTLE_MS = 120
"""So much is left out after the microphone opens, as the firmware does (audio_service.cc): on its way to us is what
was heard before, which is our own voice.
"""

PRE_ROLL_S = 2.0
"""So much of what was heard before the wake word was found goes to the server ahead of it, as the firmware sends."""


class Conversation(DeviceConnection):
    """A device with a live microphone. Made by `open`; `converse` then runs it until the connection ends.

    Who ends a sentence is the server (auto, realtime) or a button (manual, see `press`). A turn begins with what the
    server heard; its times count from the last loud frame that was sent.
    """

    frame_ms = 20  # what is live waits for its frame to fill

    def __init__(self, *connected: Any) -> None:
        super().__init__(*connected)
        self._on_turn: Callable[[Timeline], None] = lambda turn: None
        self._uplink: Uplink | None = None
        self._ended = asyncio.Event()
        self._spoken_at = -math.inf
        self._interrupted = False

    async def converse(
        self,
        microphone: Microphone,
        on_turn: Callable[[Timeline], None] = lambda turn: None,
        stands_by: bool = False,
    ) -> None:
        """Send what the microphone hears whenever it is open, and play the replies, until the connection ends.

        `on_turn` gets every turn when its sound has ended. One that `stands_by` opens the microphone when it is woken;
        in manual mode it is opened by a button.
        """
        self._on_turn = on_turn
        if self.closed:
            return
        self._turn = TurnLog("", False, self._now(), self._on_event)
        if self.model.mode == "manual" or stands_by:
            self.model.stand_by(self._now())
        else:
            self.model.start_listening(self._now())
        self._update()
        self._uplink = Uplink(
            self._send_packet,
            lambda: self.model.mic_open,
            self._note_speech,
            self.frame_ms,
            PRE_ROLL_S if stands_by else 0.0,
        )
        streaming = asyncio.create_task(
            self._uplink.stream(microphone, 0 if self.model.mode == "manual" else SETTLE_MS),
            name="device-uplink",
        )
        ending = asyncio.create_task(self._ended.wait(), name="device-ending")
        try:
            await asyncio.wait({streaming, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            await cancel(streaming)

    def press(self) -> None:
        """Push to talk: the button goes down. What is being said stops."""
        if not self.closed:
            now = self._now()
            if self.model.state == "speaking":
                self._cut_reply(now)
            self.model.press_to_talk(now)
            self._update()

    def release(self) -> None:
        """Push to talk: the button goes up; the server answers what it heard."""
        if not self.closed:
            self._spoken_at = self._now()
            self.model.stop_listening(self._now())
            self._update()

    def wake(self, word: str = "") -> bool:
        """The wake word was heard, or "" for a button: begin to listen. What is being said stops.

        Return False where that changes nothing: the device listens already, or does not talk yet.
        """
        now = self._now()
        if self.closed or self._uplink is None or self.model.state not in ("idle", "speaking"):
            return False
        if self.model.state == "speaking":
            self._cut_reply(now)
            self.model.press_to_talk(now, WAKE_WORD if word else "")
        else:
            if word:
                self._uplink.send_kept()
                self.send(Listen("detect", text=word))
            self.model.start_listening(now)
        self._update()
        return True

    def interrupt(self) -> None:
        """Somebody speaks into the reply: it stops at once, and the server is asked to stop."""
        if not self.closed and self.model.state == "speaking" and self.model.drained_at is None:
            self._be_silent()
            self.abort()

    def _cut_reply(self, now: float) -> None:
        self._be_silent()
        self._turn.tts_stop(now, self.model.playback)  # what the server sends for it comes too late to count

    def _be_silent(self) -> None:
        if self._player is not None:
            self._player.stop()
        self.model.silence(self._now())
        self._interrupted = True

    def _lose(self) -> None:
        super()._lose()
        self._ended.set()

    # What differs from one turn after the other.

    def _note_speech(self) -> None:
        self._spoken_at = self._now()

    def _heed(self, at: float, content: ServerMessage | bytes | None) -> None:
        self._follow(at, content)
        super()._heed(at, content)

    def _follow(self, at: float, content: ServerMessage | bytes | None) -> None:
        """Begin a new turn where the server does."""
        if not isinstance(content, Stt) and not (isinstance(content, Tts) and content.state == "start"):
            return
        self._interrupted = self._interrupted and isinstance(content, Stt)
        if self._turn.stopped_at is not None or self._turn.no_words:
            self._end_turn()
            self._turn = TurnLog("", False, at, self._on_event)
            self._dropped_before = self.model.dropped_not_speaking
        if not self._turn.answered:
            self._turn.zero_at = self._spoken_at if math.isfinite(self._spoken_at) else at
        if isinstance(content, Stt) and not content.text and not self._turn.answered:
            self._turn.event("no_words", at)

    def _play(self, at: float, packet: bytes) -> None:
        if not self._interrupted:  # what still comes until `tts stop` is thrown away
            super()._play(at, packet)

    def _tick(self) -> None:
        super()._tick()
        if self._is_over(self._turn):
            self._end_turn()

    def _end_turn(self) -> None:
        turn, ends_at = self._turn, self._turn.ends_at
        if ends_at is None or turn.told:
            return
        turn.told = True
        holes_s = self._player.holes_s() if self._player is not None else None
        if holes_s is not None:
            self.model.playback.gaps[:] = [Gap(ends_at, hole_s) for hole_s in holes_s]
        turn.dropped_not_speaking = self.model.dropped_not_speaking - self._dropped_before
        turn.event("played", min(self._now(), ends_at))
        self._on_turn(turn.timeline())
        self._changed.set()
