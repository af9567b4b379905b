"""What the client asks of a sound card, whichever library drives it. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from xiaozhi_persona.bridge.client.sound import ReplyPlayer
from xiaozhi_persona.spine import Samples

SILENT_DBFS = -100.0
"""The level that stands for no sound at all."""

CardEventKind = Literal["opened", "lost", "silent_microphone", "microphone_back", "underrun"]
"""opened: both directions work, at the start and after a loss; lost: a device is gone or has stopped, and is looked
for; silent_microphone: it gives nothing but zeros, as when muted; microphone_back: it gives sound again;
underrun: the card wanted sound sooner than this machine gave it.
"""


@dataclass(frozen=True)
class CardEvent:
    """What happened to the card."""

    kind: CardEventKind
    text: str = ""
    """What a person is to know or to do, in one line."""


@dataclass(frozen=True)
class Levels:
    """How loud it has been in the last tenth of a second, in dBFS (root mean square); SILENT_DBFS for nothing."""

    input_dbfs: float = SILENT_DBFS
    output_dbfs: float = SILENT_DBFS


class Card(Protocol):
    """An open sound card. Its methods are called from the event loop, and none of them waits for the device.

    It stays open until its context ends; a device that is unplugged is opened again when it is back.
    """

    gain: float
    """Software volume of everything that is played, 0 to 1; counts at once."""

    on_event: Callable[[CardEvent], None]
    """Called from the event loop. Whoever wants to listen puts his function here."""

    @property
    def levels(self) -> Levels:
        """The present levels, of both directions."""
        ...

    @property
    def player(self) -> ReplyPlayer:
        """Plays the server's replies."""
        ...

    def listen(self) -> AsyncGenerator[Samples, None]:
        """Yield what the microphone hears from now on, 16 kHz mono in pieces of any length, as it is heard.

        Several may listen at once. While the device is gone nothing comes.
        """
        ...

    def sound(self, samples: Samples, sample_rate_hz: int) -> None:
        """Play a short sound of the client's own, mixed with whatever else plays."""
        ...

    def sounds_until(self) -> float:
        """Return when the last sound given so far will have left the loudspeaker, by the event loop's clock."""
        ...
