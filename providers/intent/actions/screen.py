"""The theme of the screen, and the battery."""

from __future__ import annotations

from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.tools import call, cannot, found, json_of, number_in, status
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.router import Match


async def theme_set(scene: Scene, match: Match) -> Done | None:
    """Set the theme, dark or light."""
    names = await scene.tool_names()
    name = found(names, "self.screen.set_theme")
    if name is None:
        return cannot(scene, names, "theme")
    theme = match.slots["theme"]
    await call(scene, name, {"theme": theme})
    return Done(said(scene.language, f"theme_{theme}"))


async def battery_get(scene: Scene, match: Match) -> Done | None:
    """Tell how full the battery is, and whether it is being charged."""
    names = await scene.tool_names()
    battery = (await status(scene, names)).get("battery")
    name = found(names, "self.battery.get_level")
    if number_in(battery, "level") is None and name:
        battery = json_of(await call(scene, name, {}))
    level = number_in(battery, "level")
    if level is None or not isinstance(battery, dict):
        return cannot(scene, names, "battery")
    charging = bool(battery.get("charging"))
    return Done(said(scene.language, "battery_charging" if charging else "battery", level=level))
