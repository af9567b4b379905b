"""The command `talk` with a microphone: one conversation after the other, over one open sound card."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from xiaozhi_persona.bridge.client.card.barge_in import GatedMicrophone
from xiaozhi_persona.bridge.client.card.interface import Card
from xiaozhi_persona.bridge.client.conversation import Conversation
from xiaozhi_persona.bridge.client.link import cancel
from xiaozhi_persona.bridge.client.servers import Server
from xiaozhi_persona.bridge.client.sound import Microphone
from xiaozhi_persona.bridge.client.staying import LinkEvent, stay_connected
from xiaozhi_persona.bridge.client.talk import TalkOptions, connect
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent

PING_S = 20.0
"""A server or a network that is gone without a word is noticed within twice that."""


async def talk_by_microphone(
    options: TalkOptions,
    card: Card,
    on_turn: Callable[[Timeline], None],
    on_event: Callable[[TurnEvent], None],
    on_link: Callable[[LinkEvent], None],
    presses: AsyncIterator[None] | None = None,
    is_own_voice: Callable[[], bool] = lambda: False,
) -> None:
    """Talk until cancelled, over one connection after the other. In manual mode each of `presses` begins or ends what is
    said. In realtime mode who speaks into a reply stops it; the card then takes out the echo, or the device behind it
    does, and `is_own_voice` tells where that has failed. Raises as `stay_connected` does.
    """

    def connection(server: Server) -> AbstractAsyncContextManager[Conversation]:
        return connect(Conversation, options, server, card.player, on_event, PING_S)

    async def converse(device: Conversation) -> None:
        # The tone that says so, or a phrase that is being said, is not to be heard as speech.
        await asyncio.sleep(max(0.0, card.sounds_until() - asyncio.get_running_loop().time()))
        microphone: Microphone = card
        if options.mode == "realtime":
            microphone = GatedMicrophone(card, device.interrupt, is_own_voice)
        async with _pressing(device, presses, on_event):
            await device.converse(microphone, on_turn)

    await stay_connected(options.where, connection, converse, on_link)


@contextlib.asynccontextmanager
async def _pressing(
    device: Conversation, presses: AsyncIterator[None] | None, on_event: Callable[[TurnEvent], None]
) -> AsyncIterator[None]:
    if presses is None:
        yield
        return
    pressing = asyncio.create_task(_press(device, presses, on_event), name="device-presses")
    try:
        yield
    finally:
        await cancel(pressing)


async def _press(
    device: Conversation, presses: AsyncIterator[None], on_event: Callable[[TurnEvent], None]
) -> None:
    async for _ in presses:
        if device.state == "listening":
            device.release()
            on_event(TurnEvent("spoken", 0.0))
        else:
            device.press()
            on_event(TurnEvent("speaking", 0.0))
