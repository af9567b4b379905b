"""What one connection may use, by how it stands: everything, a memory of its own, or nothing but to hear its code."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from xiaozhi_persona.bridge.admission.addresses import Source
from xiaozhi_persona.bridge.admission.admission import Admission, Stage, Standing, visitor_of
from xiaozhi_persona.bridge.credentials import Credentials
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.passing import PassingMemory
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatDelta, ChatModel, Message, Owner

log = logging.getLogger(__name__)


class Visit:
    """One connection's standing. It is decided anew for every turn: a device may be approved or forgotten meanwhile."""

    def __init__(
        self, admission: Admission, given: Credentials, source: Source, parts: Parts, settings: Settings
    ) -> None:
        self._admission = admission
        self._given = given
        self._parts = parts
        self._settings = settings
        self._visitor = visitor_of(given, source)
        self._entered = False
        self._nameless = PassingMemory(2 * settings.llm.history_turns)
        self.standing = Standing()
        self.source = source

    @property
    def device_id(self) -> str:
        """Which device it is, as it says; "" for one that does not."""
        return self._visitor.id

    @property
    def admitted_id(self) -> str:
        """The device that it is, "" for one that cannot prove to be the device which it says it is."""
        return self.device_id if self.standing.owner_id == self.device_id else ""

    @property
    def binary_version(self) -> int:
        """The binary protocol version that the handshake named."""
        return self._given.binary_version

    @property
    def owner(self) -> Owner:
        """Whose memory it uses: that which all roles share, or that of the device's role alone."""
        role = self._parts.casting.role(self.device_id)
        return role.memory_of(Owner(self.standing.owner_id or ""))

    async def knock(self) -> Standing:
        """Decide at the handshake, by what its headers say. Raises PersonaError."""
        await self._decide("knock")
        return self.standing

    async def enter(self, id_in_hello: str) -> Standing:
        """Decide at the hello, which may say what the headers did not. Raises PersonaError."""
        self._visitor = visitor_of(self._given, self.source, id_in_hello)
        self._entered = True  # first: cancelled while it waits, it has to leave all the same
        await self._decide("enter")
        return self.standing

    async def speak(self) -> tuple[Owner, Parts]:
        """Return for a turn that begins whose memory it uses, and with what it is answered."""
        before = self.standing
        with contextlib.suppress(PersonaError):  # told in the log: what was decided before holds
            await self._decide("speak")
        if self.standing.refusal:
            self.standing = before
        standing, phrases = self.standing, self._settings.phrases
        if standing.owner_id is None:
            reply = _Phrase(phrases.pairing.replace("{code}", _one_by_one(standing.code)))
            parts = dataclasses.replace(
                self._parts, chat_model=reply, memory=PassingMemory(0, answer=""), intents=None
            )
            return Owner(""), parts
        if not standing.owner_id:
            return Owner(""), dataclasses.replace(self._parts, memory=self._nameless)
        parts = self._parts
        if standing.is_news:
            first = phrases.pairing_again.replace("{code}", _one_by_one(standing.code))
            parts = dataclasses.replace(parts, chat_model=_Phrase(first, parts.chat_model), intents=None)
        return self.owner, parts

    def leave(self) -> None:
        """Note that the connection has ended."""
        if self._entered:
            self._admission.leave(self._visitor)

    async def _decide(self, stage: Stage) -> None:
        try:
            self.standing = await self._admission.receive(self._visitor, stage)
        except PersonaError as exc:
            log.error("%s", exc)
            raise


class _Phrase:
    """A chat model that says a phrase once, and then what another one has to say, if there is one."""

    def __init__(self, phrase: str, then: ChatModel | None = None) -> None:
        self._phrase = phrase
        self._then = then

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        phrase, self._phrase = self._phrase, ""
        yield ChatDelta(phrase)
        if self._then:
            async with contextlib.aclosing(self._then.stream(messages, tools)) as deltas:
                async for delta in deltas:
                    yield delta


def _one_by_one(code: str) -> str:
    """Write a code so that every voice reads its digits and not a number."""
    return tr("、").join(code)
