"""A light on the pins of a Raspberry Pi that shows what the device is doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xiaozhi_persona.bridge.client.signs.sign import Sign
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr

_Color = tuple[int, int, int]
_COLORS: dict[Sign, _Color] = {
    "offline": (1, 0, 0),
    "idle": (0, 0, 0),
    "listening": (0, 0, 1),
    "thinking": (1, 1, 0),
    "speaking": (0, 1, 0),
}
_BLINKS_S: dict[Sign, tuple[float, float]] = {"offline": (0.2, 1.8), "thinking": (0.2, 0.2)}
"""How long it is on and off, where it blinks."""
_SINGLE_BLINKS_S: dict[Sign, tuple[float, float]] = {**_BLINKS_S, "speaking": (0.8, 0.2)}


class Light:
    """One LED, or an RGB LED of three pins. It is out when it is closed."""

    def __init__(self, pins: Sequence[int]) -> None:
        """`pins` are BCM numbers: one, or those of red, green and blue.

        Raises PackageMissing without gpiozero, SettingsError where there are no such pins or others use them.
        """
        try:
            import gpiozero
        except ImportError as exc:
            raise PackageMissing(
                tr("--led 要用 gpiozero：运行 {command}", command=pip_install("gpiozero", "lgpio"))
            ) from exc
        self._is_rgb = len(pins) == 3
        try:
            # Without pulse width modulation, which costs a thread for each pin and is not needed for eight colours.
            self._led: Any = gpiozero.RGBLED(*pins, pwm=False) if self._is_rgb else gpiozero.LED(*pins)
        except Exception as exc:  # each way to the pins has errors of its own
            raise SettingsError(
                tr(
                    "--led 用不了引脚 {pins}（{reason}）。请检查：是树莓派，号码是 BCM 的，没有别的程序在用",
                    pins=",".join(map(str, pins)),
                    reason=first_line(exc),
                )
            ) from exc

    def show(self, sign: Sign) -> None:
        """Show what the device is doing."""
        blinks_s = (_BLINKS_S if self._is_rgb else _SINGLE_BLINKS_S).get(sign)
        if blinks_s is not None:
            color = {"on_color": _COLORS[sign]} if self._is_rgb else {}
            self._led.blink(*blinks_s, **color)
        elif self._is_rgb:
            self._led.color = _COLORS[sign]
        else:
            self._led.value = int(sign != "idle")

    def close(self) -> None:
        """Put it out and leave the pins."""
        self._led.off()
        self._led.close()


def pins_of(text: str) -> Sequence[int]:
    """Return the pins of an option. Raises SettingsError."""
    try:
        pins = [int(part) for part in text.split(",")]
    except ValueError:
        pins = []
    if len(pins) not in (1, 3):
        raise SettingsError(
            tr("--led {text!r} 看不懂。应是一个 BCM 引脚号，或红、绿、蓝三个：17,27,22", text=text)
        )
    return pins
