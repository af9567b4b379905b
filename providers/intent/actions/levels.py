"""Volume and brightness: up, down, to a level, and how they are; mute and unmute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.tools import call, cannot, found, json_of, number_in, status
from xiaozhi_persona.providers.intent.actions.wording import said, undone
from xiaozhi_persona.providers.intent.router import Match

STEP = 10
"""By so much it goes up or down where nobody says by how much."""
_UNMUTED = 50
"""The volume after a mute of which nobody knows what was before."""

Act = Callable[[Scene, Match], Awaitable[Done | None]]


@dataclass(frozen=True)
class _Level:
    """One of them, 0 to 100."""

    name: str
    setters: tuple[tuple[str, str, int], ...]
    """The tools that set it, with the argument and its highest value."""
    getters: tuple[str, ...]
    """Tools that tell it, as a number or as JSON that has it under its name."""
    part: str
    """The part of the device's status under which it stands."""
    about: tuple[str, ...]
    """Words of names of other tools that may do it, as `cannot` takes them."""

    async def read(self, scene: Scene, names: Collection[str]) -> int | None:
        """Return how it is; None where nobody knows. Raises PersonaError."""
        level = number_in(await status(scene, names), self.part, self.name)
        if level is None and (getter := found(names, *self.getters)):
            answer = json_of(await scene.call(getter, {}))
            level = number_in({self.name: answer}, self.name)
            level = number_in(answer, self.name) if level is None else level
        return scene.kept.get(self.name) if level is None else level

    async def write(self, scene: Scene, names: Collection[str], level: int) -> bool:
        """Set it; return whether there is a tool for it. Raises PersonaError."""
        for tool, argument, highest in self.setters:
            if name := found(names, tool):
                await call(scene, name, {argument: round(level * highest / 100)})
                scene.kept[self.name] = level
                return True
        return False

    def is_set_by(self, names: Collection[str]) -> bool:
        """Whether there is a tool that sets it."""
        return found(names, *(tool for tool, _, _ in self.setters)) is not None


_VOLUME = _Level(
    "volume",
    (("self.audio_speaker.set_volume", "volume", 100),),
    ("self.audio_speaker.get_volume", "self.audio_speaker.get_volume_status"),
    "audio_speaker",
    ("volume", "media", "speaker"),
)
_BRIGHTNESS = _Level(
    "brightness",
    (("self.screen.set_brightness", "brightness", 100), ("self.disp.setbacklight", "level", 255)),
    ("self.screen.get_brightness",),
    "screen",
    ("screen_", "brightness", "backlight", "display"),  # no screenshot
)


def _moved(level: _Level, direction: int) -> Act:
    async def act(scene: Scene, match: Match) -> Done | None:
        names = await scene.tool_names()
        if not level.is_set_by(names):
            return cannot(scene, names, *level.about)
        before = await level.read(scene, names)
        if before is None:
            return undone(scene, f"{level.name}_unknown")
        after = min(100, max(0, before + direction * abs(round(match.slots.get("by", STEP)))))
        if after == before:
            return undone(scene, f"{level.name}_{'most' if direction > 0 else 'least'}")
        await level.write(scene, names, after)
        return Done(said(scene.language, f"{level.name}_set", level=after))

    return act


def _set(level: _Level) -> Act:
    async def act(scene: Scene, match: Match) -> Done | None:
        names = await scene.tool_names()
        value = match.slots["level"]
        if not await level.write(scene, names, value):
            return cannot(scene, names, *level.about)
        return Done(said(scene.language, f"{level.name}_set", level=value))

    return act


def _told(level: _Level) -> Act:
    async def act(scene: Scene, match: Match) -> Done | None:
        names = await scene.tool_names()
        value = await level.read(scene, names)
        if value is None:
            return cannot(scene, names, *level.about)
        return Done(said(scene.language, f"{level.name}_is", level=value))

    return act


volume_up, volume_down = _moved(_VOLUME, 1), _moved(_VOLUME, -1)
volume_set, volume_get = _set(_VOLUME), _told(_VOLUME)
brightness_up, brightness_down = _moved(_BRIGHTNESS, 1), _moved(_BRIGHTNESS, -1)
brightness_set, brightness_get = _set(_BRIGHTNESS), _told(_BRIGHTNESS)


async def mute(scene: Scene, match: Match) -> Done | None:
    """Turn the sound off, and say nothing: it could not be heard."""
    names = await scene.tool_names()
    if not _VOLUME.is_set_by(names):
        return cannot(scene, names, *_VOLUME.about)
    if before := await _VOLUME.read(scene, names):
        scene.kept["unmuted"] = before
    await _VOLUME.write(scene, names, 0)
    return Done()


async def unmute(scene: Scene, match: Match) -> Done | None:
    """Turn the sound on again, as it was."""
    names = await scene.tool_names()
    if not _VOLUME.is_set_by(names):
        return cannot(scene, names, *_VOLUME.about)
    level = await _VOLUME.read(scene, names) or scene.kept.get("unmuted", _UNMUTED)
    await _VOLUME.write(scene, names, level)
    return Done(said(scene.language, "unmuted", level=level))
