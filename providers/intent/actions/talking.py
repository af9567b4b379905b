"""What concerns the conversation itself: stop, goodbye, who are you, say that again; and the time and the date."""

from __future__ import annotations

import contextlib
from datetime import datetime

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.times import clock_said, day_said
from xiaozhi_persona.providers.intent.actions.tools import found
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.router import Match


async def stop(scene: Scene, match: Match) -> Done:
    """Say nothing more; music is paused, so that it can go on. What was being said has ended with these words."""
    names = await scene.tool_names()
    if player := found(names, "music_player.pause", "music_player.stop"):
        with contextlib.suppress(PersonaError):  # there may be none to pause
            await scene.call(player, {})
    return Done()


async def leave(scene: Scene, match: Match) -> Done:
    """Say goodbye, and end the connection."""
    return Done(said(scene.language, "goodbye"), ends_connection=True)


async def who_are_you(scene: Scene, match: Match) -> Done:
    """Say what the role is called."""
    return Done(said(scene.language, "who", name=scene.casting.role(scene.device_id).name))


async def repeat(scene: Scene, match: Match) -> Done:
    """Say the last answer again."""
    return Done(scene.last_said or said(scene.language, "nothing_said"))


async def time(scene: Scene, match: Match) -> Done:
    """Tell the time."""
    return Done(said(scene.language, "time", time=clock_said(scene.now(), scene.language)))


async def date(scene: Scene, match: Match) -> Done:
    """Tell the date and the day of the week."""
    now: datetime = scene.now()
    return Done(said(scene.language, "date", date=day_said(now, scene.language)))
