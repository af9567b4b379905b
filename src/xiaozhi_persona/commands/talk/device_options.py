"""The options of `talk` for what the device has beside its sound: tools, a camera, a light, a face, buttons."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from xiaozhi_persona.bridge.client.mcp import Tool
from xiaozhi_persona.bridge.client.program import words_of
from xiaozhi_persona.bridge.client.signs.light import pins_of
from xiaozhi_persona.bridge.client.tools.board import Board
from xiaozhi_persona.bridge.client.tools.command import command_tool
from xiaozhi_persona.bridge.client.tools.volume import HasGain, Volume

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class DeviceOptions:
    """What the options say."""

    tools: Sequence[Tool] = ()
    camera: Sequence[str] = ()
    """The command that takes a picture."""
    face: Sequence[str] = ()
    """The command that shows an emotion."""
    led: Sequence[int] = ()
    """The pins of the light."""
    button: int | None = None
    """The pin of the button to talk with."""
    key: str = ""
    """The name of the key to talk with."""

    @property
    def has_button(self) -> bool:
        """Whether there is a button beside the terminal's space bar."""
        return self.button is not None or bool(self.key)

    def all_tools(
        self, card: HasGain | None, output: str, device_id: str, client_id: str
    ) -> tuple[Tool, ...]:
        """Return what the server may ask for; `card` is the sound card, `output` its name in the settings."""
        tools = [*Board(Volume(card, output)).tools()] if card is not None else []
        if self.camera:
            from xiaozhi_persona.bridge.client.tools.camera import Camera  # httpx takes a while to load

            tools.append(Camera(self.camera, device_id, client_id).tool())
        return (*tools, *self.tools)


def device_options(function: _Command) -> _Command:
    """Add the options; the command gets them as the parameter `device`. Wrong ones raise SettingsError."""

    @click.option(
        "--tool",
        "tools",
        multiple=True,
        metavar="名字=命令",
        callback=lambda ctx, option, texts: tuple(map(command_tool, texts)),
        help="服务器可以调用的命令，可多次：'self.lamp.set(level:integer) 调灯的亮度=命令'，参数在环境变量 TOOL_LEVEL 里",
    )
    @click.option(
        "--camera",
        metavar="程序",
        callback=_words,
        help="拍照的命令，把 JPEG 写到标准输出，如 'rpicam-jpeg -n -o -'",
    )
    @click.option(
        "--face-command",
        "face",
        metavar="程序",
        callback=_words,
        help="表情变了就运行它，最后一个参数是表情的名字（happy、sad……）",
    )
    @click.option(
        "--led",
        metavar="引脚",
        callback=lambda ctx, option, text: () if text is None else pins_of(text),
        help="用灯表示在做什么：一个 BCM 引脚号，或红、绿、蓝三个，如 17,27,22",
    )
    @click.option(
        "--button",
        type=click.IntRange(0, 63),
        metavar="引脚",
        help="按住说话、叫醒、打断的按钮，接在这个 BCM 引脚和地之间",
    )
    @click.option(
        "--key",
        default="",
        metavar="键名",
        help="同 --button，用键盘、遥控器、蓝牙按钮的一个键，如 KEY_PLAYPAUSE（Linux，要 evdev）",
    )
    @functools.wraps(function)
    def with_device(
        *args: Any,
        tools: Sequence[Tool],
        camera: Sequence[str],
        face: Sequence[str],
        led: Sequence[int],
        button: int | None,
        key: str,
        **options: Any,
    ) -> Any:
        return function(*args, device=DeviceOptions(tools, camera, face, led, button, key), **options)

    return with_device  # type: ignore[return-value]


def _words(ctx: click.Context, option: click.Parameter, text: str | None) -> Sequence[str]:
    return () if text is None else words_of(text, option.opts[0])
