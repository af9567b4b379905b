"""What `talk` does with a sound card: its options, the list of devices, the conversation by microphone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from xiaozhi_persona.bridge.client.buttons.gpio import GpioButton
from xiaozhi_persona.bridge.client.buttons.key import Key
from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.bridge.client.card.devices import Block, Device, NoCard, choose_input, choose_output
from xiaozhi_persona.bridge.client.card.echo_delay import following_delay, measure_delay
from xiaozhi_persona.bridge.client.card.interface import SILENT_DBFS
from xiaozhi_persona.bridge.client.card.meter import Meter
from xiaozhi_persona.bridge.client.card.portaudio import PortAudio
from xiaozhi_persona.bridge.client.card.sound_card import CardOptions, SoundCard
from xiaozhi_persona.bridge.client.signs.face import FaceCommand
from xiaozhi_persona.bridge.client.signs.light import Light
from xiaozhi_persona.bridge.client.signs.sign import Sign, Signs
from xiaozhi_persona.bridge.client.spoken import running, talk_by_microphone
from xiaozhi_persona.bridge.client.staying import LinkEvent
from xiaozhi_persona.bridge.client.talk import TalkOptions
from xiaozhi_persona.bridge.client.timeline import TurnEvent
from xiaozhi_persona.bridge.client.wake_word.spotter import Spotter, open_spotter
from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.commands.common import print_json
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.commands.talk.device_options import DeviceOptions
from xiaozhi_persona.commands.talk.keys import has_keys, space_bar
from xiaozhi_persona.commands.talk.view import JsonView, level_bar, open_view
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import AudioSettings, Settings

_METERED_S = 0.4
_BAR_CELLS = 12

_Command = TypeVar("_Command", bound=Callable[..., Any])


def sound_options(function: _Command) -> _Command:
    """Add the options of the sound card: parameters mic, list_devices."""
    for option in (
        click.option("--list-devices", is_flag=True, help="列出话筒和喇叭，及话筒的音量，不连接"),
        click.option(
            "--mic/--no-mic",
            default=None,
            help="用话筒和喇叭说话。有声卡、又没有 --wav 和 --text 时就是这样；--no-mic 为打字",
        ),
    ):
        function = option(function)
    return function


def find_card(mic: bool | None, audio: AudioSettings) -> PortAudio | None:
    """Return what drives the sound card where there is a microphone and a loudspeaker to talk with, else None.

    Where `mic` asks for it, raises NoCard or PackageMissing instead.
    """
    if mic is False:
        return None
    try:
        system = PortAudio()
        devices = system.devices()
        choose_input(devices, audio.input)
        choose_output(devices, audio.output)
    except PersonaError:
        if mic:
            raise
        return None
    return system


def print_devices(audio: AudioSettings, as_json: bool) -> None:
    """Print every device, which ones are used, and how loud each microphone is."""
    system = PortAudio()
    devices = system.devices()
    used = [_used(choose, devices, name) for choose, name in _choices(audio)]
    levels = {device: _level(system, device) for device in devices if device.input_channels}
    if as_json:
        for device in devices:
            print_json(
                {
                    "name": device.name,
                    "input_channels": device.input_channels,
                    "output_channels": device.output_channels,
                    "rate_hz": device.rate_hz,
                    "used": [
                        way for way, one in zip(("input", "output"), used, strict=True) if one == device
                    ],
                    "input_dbfs": levels.get(device),
                }
            )
        return
    if not devices:
        raise NoCard(tr("没有声卡。请插上话筒和喇叭；在容器里要把 /dev/snd 也给它"))
    rows = [
        [
            device.name,
            ("→ " if device == used[0] else "")
            + (str(device.input_channels) if device.input_channels else ""),
            _bar(levels[device]) if device in levels else "",
            ("→ " if device == used[1] else "")
            + (str(device.output_channels) if device.output_channels else ""),
            f"{device.rate_hz:g}",
        ]
        for device in devices
    ]
    print_table(
        [tr("名字"), tr("话筒声道"), tr("音量"), tr("喇叭声道"), "Hz"],
        rows,
        right=[tr("话筒声道"), tr("喇叭声道"), "Hz"],
        caption=tr("→ 为会用的。换一个：set audio.input 名字里的一段，喇叭是 audio.output"),
    )


async def converse(
    options: TalkOptions, device: DeviceOptions, system: PortAudio, settings: Settings, as_json: bool
) -> None:
    """Talk by microphone until interrupted."""
    audio = settings.audio
    has_button = device.has_button or has_keys()
    spotter = await _spotter(options.mode, settings, has_button)
    if audio.wake_word and spotter is None:
        options = replace(options, mode="manual")
    if options.mode == "manual" and not has_button:
        raise SettingsError(
            tr(
                "--mode manual 没有键可按：空格要在 Linux 或 macOS 的终端里用。请在终端里运行，或用 --button、--key 给一个按钮"
            )
        )
    cancels_echo = options.mode == "realtime" and audio.echo == "webrtc"
    system.steady = cancels_echo
    card_options = CardOptions(audio.input, audio.output, audio.buffer_ms, cancels_echo)
    async with contextlib.AsyncExitStack() as stack:
        card = await stack.enter_async_context(SoundCard.open(system, card_options))
        click.echo(
            tr("话筒 {input}，喇叭 {output}", input=card.input_name, output=card.output_name), err=True
        )
        presses = Presses()
        if device.button is not None:
            stack.enter_context(contextlib.closing(GpioButton(device.button, presses)))
        if device.key:
            await stack.enter_async_context(running(Key(device.key, presses).watch(), "device-key"))
        if has_keys() and (options.mode == "manual" or spotter is not None):
            stack.enter_context(space_bar(presses))
        if card.echo is not None:
            click.echo(_delay(await measure_delay(card, card.echo)), err=True)
            await stack.enter_async_context(following_delay(card, card.echo))
        click.echo(_what_to_do(options.mode, spotter), err=True)
        view = JsonView() if as_json else stack.enter_context(open_view(lambda: card.levels))
        card.on_event = lambda event: view.note(event.text)
        show: list[Callable[[Sign], None]] = [view.show]
        if device.led:
            show.append(stack.enter_context(contextlib.closing(Light(device.led))).show)
        faces = []
        if device.face:
            faces.append(await stack.enter_async_context(contextlib.aclosing(FaceCommand(device.face))))
        signs = Signs(options.mode, show, faces, card.sound, spotter is not None)

        def on_event(event: TurnEvent) -> None:
            view.turn_event(event)
            signs.turn_event(event)

        def on_link(event: LinkEvent) -> None:
            view.link_event(event)
            signs.link_event(event)

        tools = device.all_tools(card, audio.output, options.device_id, options.client_id)
        options = replace(options, tools=tools)
        is_own_voice = card.echo.is_own_voice if card.echo is not None else lambda: False
        await talk_by_microphone(
            options, card, view.turn_ended, on_event, on_link, presses, is_own_voice, spotter
        )


async def _spotter(mode: ListenMode, settings: Settings, has_button: bool) -> Spotter | None:
    """Return what hears the wake word; None where none is set or wanted, or it cannot be had, which is told."""
    word, model = settings.audio.wake_word, settings.audio.wake_word_model
    if mode == "manual" or not word:
        return None
    try:
        return await asyncio.to_thread(open_spotter, word, settings.path(model) if model else None)
    except PersonaError as exc:
        if not has_button:
            raise
        click.echo(tr("唤醒词用不了，先按键说话。{reason}", reason=exc), err=True)
        return None


def _what_to_do(mode: ListenMode, spotter: Spotter | None) -> str:
    if mode == "manual":
        return tr("按空格（或按钮）开始说，说完再按一次；按钮也可以按住说。Ctrl+C 结束。")
    if spotter is not None:
        return tr("说“{word}”叫醒它。Ctrl+C 结束。", word=spotter.word)
    return tr("请说话。Ctrl+C 结束。")


def _choices(audio: AudioSettings) -> Any:
    return ((choose_input, audio.input), (choose_output, audio.output))


def _used(choose: Callable[[list[Device], str], Device], devices: list[Device], name: str) -> Device | None:
    try:
        return choose(devices, name)
    except NoCard:
        return None


def _level(system: PortAudio, device: Device) -> float | None:
    """Return how loud a microphone is, None where it does not open."""
    meter, enough, heard_s = Meter(), threading.Event(), 0.0

    def hear(block: Block, lost: bool) -> None:
        nonlocal heard_s
        meter.feed(block[:, 0], device.rate_hz)
        heard_s += len(block) / device.rate_hz
        if heard_s >= _METERED_S:
            enough.set()

    try:
        stream = system.open_input(device, hear, enough.set)
    except NoCard:
        return None
    enough.wait(_METERED_S * 3)
    stream.close()
    return round(meter.dbfs, 1)


def _bar(dbfs: float | None) -> str:
    if dbfs is None:
        return tr("打不开")
    if dbfs <= SILENT_DBFS:
        return tr("全是零")
    return f"{level_bar(dbfs, _BAR_CELLS)} {dbfs:.0f} dBFS"


def _delay(measured_s: float | None) -> str:
    if measured_s is None:
        return tr("话筒没有听到喇叭的试音，边说边量。音量太小？戴着耳机就不要紧")
    return tr("喇叭的声音 {ms:.0f} 毫秒后回到话筒，会把它消掉", ms=measured_s * 1000)
