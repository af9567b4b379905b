"""The tools self.get_device_status, self.audio_speaker.set_volume and self.screen.set_brightness of a Linux computer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.bridge.client.mcp import Argument, Tool
from xiaozhi_persona.bridge.client.tools.volume import Volume
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr

_STRONG_DBM, _MEDIUM_DBM = -60, -70  # 78/xiaozhi-esp32, main/boards/common/wifi_board.cc


class Board:
    """The computer that the client runs on, as the kernel shows it below /sys and /proc."""

    def __init__(self, volume: Volume, root: Path = Path("/")) -> None:
        self._volume = volume
        self._root = root

    def tools(self) -> list[Tool]:
        """Return the tools for the parts that are there."""
        tools = [
            Tool(
                "self.get_device_status",
                "Returns the present state of the device as JSON: volume of the loudspeaker, brightness of the screen, battery,"
                " network, temperature of the chip. Call it for questions about the device, and before a change that depends"
                " on the present value, such as louder or brighter.",
                self._status,
            ),
            Tool(
                "self.audio_speaker.set_volume",
                "Sets the volume of the loudspeaker in percent. Where it is to become louder or quieter and the present volume"
                " is not known, call self.get_device_status first.",
                self._set_volume,
                [Argument("volume", "integer", minimum=0, maximum=100)],
            ),
        ]
        if self._backlight() is not None:
            tools.append(
                Tool(
                    "self.screen.set_brightness",
                    "Sets the brightness of the screen in percent.",
                    self._set_brightness,
                    [Argument("brightness", "integer", minimum=0, maximum=100)],
                )
            )
        return tools

    async def _status(self, arguments: Mapping[str, Any]) -> str:
        status = {"audio_speaker": {"volume": await self._volume.get()}}
        return json.dumps(status | await asyncio.to_thread(self._parts), ensure_ascii=False)

    async def _set_volume(self, arguments: Mapping[str, Any]) -> bool:
        await self._volume.set(arguments["volume"])
        return True

    async def _set_brightness(self, arguments: Mapping[str, Any]) -> bool:
        backlight = self._backlight()
        if backlight is None:
            raise PersonaError(tr("屏幕的背光不见了"))
        try:
            highest = int((backlight / "max_brightness").read_text())
            (backlight / "brightness").write_text(str(round(highest * arguments["brightness"] / 100)))
        except (OSError, ValueError) as exc:
            raise PersonaError(
                tr(
                    "写不了 {file}（{reason}）。把用户加进 video 组：sudo usermod -aG video 用户名，再重新登录",
                    file=backlight / "brightness",
                    reason=exc.strerror if isinstance(exc, OSError) else exc,
                )
            ) from exc
        return True

    def _backlight(self) -> Path | None:
        return next(iter(sorted(self._root.glob("sys/class/backlight/*"))), None)

    def _parts(self) -> dict[str, Any]:
        """Return what the kernel tells, under the firmware's names; what is not there is left out."""
        parts: dict[str, Any] = {"screen": {}}
        backlight = self._backlight()
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            if backlight is not None:
                now, highest = (_number(backlight / name) for name in ("brightness", "max_brightness"))
                parts["screen"] = {"brightness": round(100 * now / highest)}
        for supply in sorted(self._root.glob("sys/class/power_supply/*")):
            with contextlib.suppress(OSError, ValueError):
                if _text(supply / "type") == "Battery":
                    level = _number(supply / "capacity")
                    parts["battery"] = {"level": level, "charging": _text(supply / "status") == "Charging"}
        if network := self._network():
            parts["network"] = network
        with contextlib.suppress(OSError, ValueError):
            milli_degrees = _number(self._root / "sys/class/thermal/thermal_zone0/temp")
            parts["chip"] = {"temperature": round(milli_degrees / 1000, 1)}
        return parts

    def _network(self) -> dict[str, str]:
        """Return what carries the default route, and how strong the signal is."""
        with contextlib.suppress(OSError, ValueError):
            for line in (self._root / "proc/net/route").read_text().splitlines()[1:]:
                name, destination = line.split()[:2]
                if destination != "00000000":
                    continue
                if not (self._root / "sys/class/net" / name / "wireless").exists():
                    return {"type": "ethernet"}
                return {"type": "wifi", **self._signal(name)}
        return {}

    def _signal(self, name: str) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (self._root / "proc/net/wireless").read_text().splitlines():
                if line.strip().startswith(f"{name}:"):
                    dbm = float(line.split()[3])
                    strength = "strong" if dbm >= _STRONG_DBM else "medium" if dbm >= _MEDIUM_DBM else "weak"
                    return {"signal": strength}
        return {}


def _text(file: Path) -> str:
    return file.read_text().strip()


def _number(file: Path) -> int:
    return int(_text(file))
