"""What every engine gives: a synthesizer that is opened and closed, and what is seen of its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from xiaozhi_persona.spine import SpeechSynthesizer


class Synthesizer(SpeechSynthesizer, Protocol):
    """Shared by all devices; made for one event loop."""

    @property
    def name(self) -> str:
        """What it is, for people, with its address where it has one."""
        ...

    @property
    def advice(self) -> str:
        """Which setting replaces it by a better one; "" for one that the user has chosen."""
        ...

    async def load(self) -> None:
        """Make ready for the first sentence, and see whether it can speak.

        Raises SettingsError, PackageMissing, ServiceError; after a ServiceError it may speak later all the same.
        """
        ...

    async def clear_cache(self) -> None:
        """Forget all sound that was kept, in memory and on disk."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True)
class SeenServer:
    """What is seen of one server."""

    server: str
    """Its address, as it is written where that is none."""
    is_reached: bool
    kind: str
    """What it is, for people; "" for what is not known."""
    more: str = ""
    """What else is of interest, for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs."""
    failure: str = ""
