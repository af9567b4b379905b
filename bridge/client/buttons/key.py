"""A key of whatever is plugged in or paired: a keyboard, a presenter, a Bluetooth button. By evdev, on Linux."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.language import tr

LOOK_EVERY_S = 2.0
"""A device that is plugged in or comes back is used after so long."""
_RELEASED, _PRESSED = 0, 1  # 2 is the repetition of a key that is held

_log = logging.getLogger(__name__)


class Key:
    """Tells `presses` of one key, on every device that has it."""

    def __init__(self, name: str, presses: Presses) -> None:
        """`name` is one of Linux' input-event-codes.h, such as KEY_PLAYPAUSE; case and KEY_ may be left out.

        Raises PackageMissing without evdev, SettingsError for a name that does not exist.
        """
        try:
            import evdev
        except ImportError as exc:
            raise PackageMissing(
                tr(
                    "--key 要用 evdev：运行 sudo apt install python3-evdev，虚拟环境用 python3 -m venv --system-site-packages 建"
                )
            ) from exc
        self._evdev: Any = evdev
        codes: dict[str, int] = evdev.ecodes.ecodes
        upper = name.strip().upper()
        names = [upper] if upper.startswith(("KEY_", "BTN_")) else [f"KEY_{upper}", f"BTN_{upper}"]
        found = [codes[name] for name in names if name in codes]
        if not found:
            raise SettingsError(
                tr(
                    "--key 没有叫 {name} 的键。运行 sudo evtest 按一下，看它叫什么，如 KEY_PLAYPAUSE",
                    name=name,
                )
            )
        self._code = found[0]
        self._presses = presses
        self._loop = asyncio.get_running_loop()
        self._devices: dict[str, Any] = {}
        """Those that have the key, by path."""
        self._others: set[str] = set()
        """Paths of those that have not; they are not opened again and again."""

    async def watch(self) -> None:
        """Look for devices that have the key, and read it, until cancelled. That there is none is told once."""
        told = False
        try:
            while True:
                for device in await asyncio.to_thread(self._new_devices):
                    self._devices[device.path] = device
                    self._loop.add_reader(device.fd, self._read, device)
                if not self._devices and not told:
                    _log.warning(
                        "--key：没有找到有这个键的设备，会一直等它。插着却找不到时运行 sudo usermod -aG input $USER，再重新登录"
                    )
                told = True
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for device in list(self._devices.values()):
                self._leave(device)

    def _new_devices(self) -> list[Any]:
        paths = set(self._evdev.list_devices())
        self._others &= paths
        found = []
        for path in paths - self._others - set(self._devices):
            try:
                device = self._evdev.InputDevice(path)
                if self._code in device.capabilities().get(self._evdev.ecodes.EV_KEY, []):
                    found.append(device)
                else:
                    self._others.add(path)
                    device.close()
            except OSError:  # it is gone again
                continue
        return found

    def _read(self, device: Any) -> None:
        try:
            events = list(device.read())
        except BlockingIOError:
            return
        except OSError:  # unplugged
            self._leave(device)
            return
        for event in events:
            if event.type == self._evdev.ecodes.EV_KEY and event.code == self._code:
                if event.value == _PRESSED:
                    self._presses.down()
                elif event.value == _RELEASED:
                    self._presses.up()

    def _leave(self, device: Any) -> None:
        self._loop.remove_reader(device.fd)
        self._devices.pop(device.path, None)
        device.close()
