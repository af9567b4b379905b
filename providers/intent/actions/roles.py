"""Roles: switched, told, back to the first; and how fast they speak."""

from __future__ import annotations

import asyncio
import random

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.wording import said, undone
from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.roles.casting import PACE_STEP


async def role_switch(scene: Scene, match: Match) -> Done:
    """Let another role speak, which begins with one of its openings: where none is named, that of the settings."""
    return await switched(scene, match.slots.get("role"))


async def switched(scene: Scene, name: str | None) -> Done:
    """Switch to a role by its name or id, None for that of the settings. What speaks against it is said."""
    try:
        role = await asyncio.to_thread(scene.casting.switch, scene.device_id, name)
    except PersonaError as exc:
        return Done(str(exc), worked=False)
    opening = random.choice(role.openings) if role.openings and scene.language == "zh" else ""
    return Done(opening or said(scene.language, "switched", name=role.name))


async def role_list(scene: Scene, match: Match) -> Done:
    """Tell which roles there are."""
    names = await asyncio.to_thread(scene.casting.role_names)
    return Done(said(scene.language, "roles", names=said(scene.language, "and").join(names)))


async def faster(scene: Scene, match: Match) -> Done:
    """Speak faster from now on."""
    return await _paced(scene, scene.casting.pace(scene.device_id) + PACE_STEP, "faster")


async def slower(scene: Scene, match: Match) -> Done:
    """Speak slower from now on."""
    return await _paced(scene, scene.casting.pace(scene.device_id) - PACE_STEP, "slower")


async def speed_reset(scene: Scene, match: Match) -> Done:
    """Speak as fast as the role does by itself."""
    return await _paced(scene, 1.0, "pace_normal")


async def _paced(scene: Scene, factor: float, name: str) -> Done:
    casting = scene.casting
    if not casting.takes_pace:
        return undone(scene, "no_pace")
    before = casting.pace(scene.device_id)
    after = await asyncio.to_thread(casting.set_pace, scene.device_id, factor)
    is_at_end = after == before and name != "pace_normal"
    return Done(said(scene.language, f"{name}_most" if is_at_end else name))
