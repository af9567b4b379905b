"""A button on a pin of a Raspberry Pi, between the pin and ground."""

from __future__ import annotations

from functools import partial
from typing import Any

from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr

_BOUNCE_S = 0.02


class GpioButton:
    """Tells `presses` of one button until it is closed."""

    def __init__(self, pin: int, presses: Presses) -> None:
        """`pin` is a BCM number. Raises PackageMissing without gpiozero, SettingsError where the pin cannot be used."""
        try:
            import gpiozero
        except ImportError as exc:
            raise PackageMissing(
                tr("--button 要用 gpiozero：运行 {command}", command=pip_install("gpiozero", "lgpio"))
            ) from exc
        try:
            self._button: Any = gpiozero.Button(pin, bounce_time=_BOUNCE_S)
        except Exception as exc:  # each way to the pins has errors of its own
            raise SettingsError(
                tr(
                    "--button 用不了引脚 {pin}（{reason}）。请检查：是树莓派，号码是 BCM 的，没有别的程序在用",
                    pin=pin,
                    reason=first_line(exc),
                )
            ) from exc
        # gpiozero calls from a thread of its own.
        self._button.when_pressed = partial(presses.soon, presses.down)
        self._button.when_released = partial(presses.soon, presses.up)

    def close(self) -> None:
        """Leave the pin."""
        self._button.close()
