"""What the device is doing, as a person is to see it, told by what happens in turns and to the connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from xiaozhi_persona.bridge.client.signs.earcons import RATE_HZ, error_tone, offline_phrase, ready_tone
from xiaozhi_persona.bridge.client.staying import LinkEvent
from xiaozhi_persona.bridge.client.timeline import EventKind, TurnEvent
from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.spine import Samples

Sign = Literal["offline", "idle", "listening", "thinking", "speaking"]

NEUTRAL = "neutral"

_SIGN_AFTER: dict[EventKind, Sign] = {
    "woken": "listening",
    "speaking": "listening",
    "typed": "thinking",
    "heard": "thinking",
    "start": "speaking",
}
_WAITS_AGAIN: set[EventKind] = {"no_words", "played"}


class Face(Protocol):
    """Shows an emotion."""

    def show(self, emotion: str) -> None:
        """Show one of the device emotions."""
        ...


class Signs:
    """Follows the device, and shows and plays what a person is to know; what is shown already is not shown again."""

    def __init__(
        self,
        mode: ListenMode,
        show: Sequence[Callable[[Sign], None]] = (),
        faces: Sequence[Face] = (),
        play: Callable[[Samples, int], None] = lambda samples, rate_hz: None,
        stands_by: bool = False,
    ) -> None:
        """`show` are told what the device does; `play` plays a sound of a sample rate in Hz. A device that `stands_by`
        is idle until it is woken.
        """
        self.sign: Sign = "offline"
        self._waiting: Sign = "idle" if mode == "manual" else "listening"
        self._connected: Sign = "idle" if stands_by else self._waiting
        self._show = show
        self._faces = faces
        self._face = NEUTRAL
        self._play = play
        for one in show:
            one(self.sign)

    def turn_event(self, event: TurnEvent) -> None:
        """Follow what happens in a turn."""
        if event.kind in _WAITS_AGAIN:
            self.become(self._waiting)
            self._look(NEUTRAL)
        elif event.kind in _SIGN_AFTER:
            self.become(_SIGN_AFTER[event.kind])
        elif event.kind == "sentence" and event.emotion:
            self._look(event.emotion)

    def link_event(self, event: LinkEvent) -> None:
        """Follow what happens to the connection. One that ends while nobody talks is opened again without a word."""
        if event.kind == "connected":
            if self.sign == "offline":
                self._play(ready_tone(), RATE_HZ)
            self.become(self._connected)
        elif event.kind == "offline":
            self.become("offline")
            self._play(offline_phrase(), RATE_HZ)
        elif self.sign in ("thinking", "speaking"):
            self.become("offline")
            self._look(NEUTRAL)
            self._play(error_tone(), RATE_HZ)

    def become(self, sign: Sign) -> None:
        """Show a sign that differs from the one that is shown."""
        if sign != self.sign:
            self.sign = sign
            for one in self._show:
                one(sign)

    def _look(self, emotion: str) -> None:
        if emotion != self._face:
            self._face = emotion
            for face in self._faces:
                face.show(emotion)
