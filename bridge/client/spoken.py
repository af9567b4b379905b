"""The command `talk` with a microphone: one conversation after the other, over one open sound card."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from xiaozhi_persona.bridge.client.buttons.presses import Press
from xiaozhi_persona.bridge.client.card.barge_in import GatedMicrophone
from xiaozhi_persona.bridge.client.card.interface import Card
from xiaozhi_persona.bridge.client.conversation import Conversation
from xiaozhi_persona.bridge.client.link import cancel
from xiaozhi_persona.bridge.client.servers import Server
from xiaozhi_persona.bridge.client.sound import Microphone
from xiaozhi_persona.bridge.client.staying import LinkEvent, stay_connected
from xiaozhi_persona.bridge.client.talk import TalkOptions, connect
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.bridge.client.wake_word.hearing import hear_wake_word
from xiaozhi_persona.bridge.client.wake_word.spotter import Spotter

PING_S = 20.0
"""A server or a network that is gone without a word is noticed within twice that."""


async def talk_by_microphone(
    options: TalkOptions,
    card: Card,
    on_turn: Callable[[Timeline], None],
    on_event: Callable[[TurnEvent], None],
    on_link: Callable[[LinkEvent], None],
    presses: AsyncIterator[Press] | None = None,
    is_own_voice: Callable[[], bool] = lambda: False,
    spotter: Spotter | None = None,
) -> None:
    """Talk until cancelled, over one connection after the other. In manual mode `presses` begin and end what is said, in
    the others they stop a reply. In realtime mode who speaks into a reply stops it; the card then takes out the echo, or
    the device behind it does, and `is_own_voice` tells where that has failed. With a `spotter` each connection stands by
    until its word is heard or a button is pressed. Raises as `stay_connected` does.
    """

    def connection(server: Server) -> AbstractAsyncContextManager[Conversation]:
        return connect(Conversation, options, server, card.player, on_event, PING_S)

    async def converse(device: Conversation) -> None:
        # The tone that says so, or a phrase that is being said, is not to be heard as speech.
        await asyncio.sleep(max(0.0, card.sounds_until() - asyncio.get_running_loop().time()))
        microphone: Microphone = card
        if options.mode == "realtime":
            microphone = GatedMicrophone(card, device.interrupt, is_own_voice)
        async with contextlib.AsyncExitStack() as stack:
            if presses is not None:
                await stack.enter_async_context(running(_press(device, presses, on_event), "device-presses"))
            if spotter is not None:
                hearing = hear_wake_word(card, spotter, lambda word: _wake(device, word, on_event))
                await stack.enter_async_context(running(hearing, "device-wake-word"))
            await device.converse(microphone, on_turn, stands_by=spotter is not None)

    await stay_connected(options.where, connection, converse, on_link)


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have a task do `work` for as long as the block lasts."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        await cancel(task)


def _wake(device: Conversation, word: str, on_event: Callable[[TurnEvent], None]) -> None:
    if device.wake(word):
        on_event(TurnEvent("woken", 0.0, word))


async def _press(
    device: Conversation, presses: AsyncIterator[Press], on_event: Callable[[TurnEvent], None]
) -> None:
    async for press in presses:
        if device.model.mode != "manual":
            if press == "down":
                _wake(device, "", on_event)
        elif device.state == "listening":
            device.release()
            on_event(TurnEvent("spoken", 0.0))
        elif press == "down":
            device.press()
            on_event(TurnEvent("speaking", 0.0))
