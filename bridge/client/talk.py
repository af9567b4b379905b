"""The command `talk`: speaks recordings and typed text to a server, one turn after the other."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.connection import FEATURES, REPLY_TIMEOUT_S, DeviceConnection
from xiaozhi_persona.bridge.client.identity import machine_id
from xiaozhi_persona.bridge.client.mcp import Tool
from xiaozhi_persona.bridge.client.servers import Device, Server, Servers
from xiaozhi_persona.bridge.client.sound import (
    MIC_RATE_HZ,
    SPEECH_DBFS,
    PacketPlayer,
    ReplyPlayer,
    WavSpeaker,
    is_speech,
)
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.bridge.messages import NO_WORDS, ListenMode
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples


@dataclass(frozen=True)
class TalkOptions:
    """What is said to which server, and as which device."""

    url: str
    wavs: tuple[Path, ...] = ()
    """Recordings, spoken first."""
    texts: tuple[str, ...] = ()
    """Typed after that."""
    save: Path | None = None
    """WAV file for what was played, all turns."""
    mode: ListenMode = "auto"
    binary_version: int = 1
    device_id: str = field(default_factory=machine_id)
    client_id: str = ""
    """"" for one that follows from the device id."""
    token: str = ""
    turn_timeout_s: float = REPLY_TIMEOUT_S
    """How long a turn may last from the end of the recording, or the sending of the text."""
    servers: Servers | None = None
    """Where to connect instead of `url` with `token`: several, or what an OTA address names."""
    tools: Sequence[Tool] = ()
    """What the server may ask the device to do."""

    @property
    def where(self) -> Servers:
        """The servers to try."""
        return self.servers or Servers([Server(self.url, self.token)])


async def talk(
    options: TalkOptions,
    on_turn: Callable[[Timeline], None],
    on_event: Callable[[TurnEvent], None] = lambda event: None,
    typed: AsyncIterator[str] | None = None,
) -> list[Timeline]:
    """Run the turns over one connection, each until its reply has been played; `on_turn` gets each at once.

    `on_event` is told what happens while it happens. `typed` are texts that somebody types one after the other: then
    a server that has closed the connection meanwhile, since nobody spoke for long, is connected to again. What was
    played is saved even when a turn fails. Raises SettingsError (nothing to say, files that cannot be read or
    written, no speech in a recording), and ServiceError as `DeviceConnection.open` and `reply` do.
    """
    sounds = [] if typed else await asyncio.to_thread(_read, options)
    speaker = WavSpeaker() if options.save is not None else None
    servers = options.where
    timelines: list[Timeline] = []

    async def end_turn(device: DeviceConnection) -> None:
        timelines.append(await device.reply(options.turn_timeout_s))
        on_turn(timelines[-1])

    def connection(server: Server) -> AbstractAsyncContextManager[DeviceConnection]:
        player = None if speaker is None else PacketPlayer(speaker)
        return connect(DeviceConnection, options, server, player, on_event)

    try:
        async with AsyncExitStack() as stack:
            device = await stack.enter_async_context(servers.first(connection))
            for path, samples in zip(options.wavs, sounds, strict=True):
                await device.say(samples, path.name)
                await end_turn(device)
            for text in options.texts:
                device.type_text(text)
                await end_turn(device)
            if typed is not None:
                async for text in typed:
                    if device.closed:
                        await stack.aclose()
                        device = await stack.enter_async_context(servers.first(connection))
                    device.type_text(text)
                    await end_turn(device)
    finally:
        if speaker is not None and options.save is not None:
            await asyncio.to_thread(_save, speaker, options.save)
    return timelines


def connect(
    kind: type[Device],
    options: TalkOptions,
    server: Server,
    player: ReplyPlayer | None,
    on_event: Callable[[TurnEvent], None],
    ping_s: float | None = None,
) -> AbstractAsyncContextManager[Device]:
    """Connect to a server as the device of `options`. Raises as `DeviceConnection.open` does."""
    return kind.open(
        server.url,
        mode=options.mode,
        version=options.binary_version,
        device_id=options.device_id,
        client_id=options.client_id or str(uuid.uuid5(uuid.NAMESPACE_OID, options.device_id)),
        token=server.token,
        player=player,
        features=FEATURES | {NO_WORDS},
        on_event=on_event,
        tools=options.tools,
        ping_s=ping_s,
    )


def _read(options: TalkOptions) -> list[Samples]:
    if not options.wavs and not any(options.texts):
        raise SettingsError(
            tr("没有要说的话。请用 --wav 给出录音，或用 --text 给出文字；在终端里都不写，就可以打字聊天")
        )
    if not all(text.strip() for text in options.texts):
        raise SettingsError(tr("--text 是空的。请给出文字"))
    sounds = [read_wav(path, MIC_RATE_HZ) for path in options.wavs]
    for path, samples in zip(options.wavs, sounds, strict=True):
        if not is_speech(samples):
            raise SettingsError(
                tr(
                    "{path} 里没有声音（没有高于 {SPEECH_DBFS:g} dBFS 的采样）。请换一个录音，或把音量调大",
                    path=path,
                    SPEECH_DBFS=SPEECH_DBFS,
                )
            )
    return sounds


def _save(speaker: WavSpeaker, path: Path) -> None:
    if not len(speaker.recorded()):
        return
    try:
        speaker.save(path)
    except OSError as exc:
        raise SettingsError(
            tr("写不了 {path}（{strerror}）。请换一个地方", path=path, strerror=exc.strerror)
        ) from exc
