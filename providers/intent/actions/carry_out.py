"""The table of actions: what each intent does, and the one place where it is done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from xiaozhi_persona.errors import PersonaError, ServiceTimeout
from xiaozhi_persona.providers.intent.actions import alarms, levels, music, own, roles, screen, talking
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.wording import undone
from xiaozhi_persona.providers.intent.own_files import filled
from xiaozhi_persona.providers.intent.router import Match

log = logging.getLogger(__name__)

Action = Callable[[Scene, Match], Awaitable[Done | None]]
"""None hands the sentence to the chat model. Raises PersonaError."""

ACTIONS: Mapping[str, Action] = {
    "volume_up": levels.volume_up,
    "volume_down": levels.volume_down,
    "volume_set": levels.volume_set,
    "volume_get": levels.volume_get,
    "mute": levels.mute,
    "unmute": levels.unmute,
    "brightness_up": levels.brightness_up,
    "brightness_down": levels.brightness_down,
    "brightness_set": levels.brightness_set,
    "brightness_get": levels.brightness_get,
    "theme_set": screen.theme_set,
    "battery_get": screen.battery_get,
    "stop": talking.stop,
    "exit": talking.leave,
    "time": talking.time,
    "date": talking.date,
    "who_are_you": talking.who_are_you,
    "repeat": talking.repeat,
    "faster": roles.faster,
    "slower": roles.slower,
    "speed_reset": roles.speed_reset,
    "role_switch": roles.role_switch,
    "role_list": roles.role_list,
    "music_play": music.music_play,
    "music_pause": music.music_pause,
    "music_resume": music.music_resume,
    "music_next": music.music_next,
    "music_prev": music.music_prev,
    "photo": music.photo,
    "timer_set": alarms.timer_set,
    "timer_cancel": alarms.timer_cancel,
    "timer_query": alarms.timer_query,
    "alarm_set": alarms.alarm_set,
}


async def carry_out(match: Match, scene: Scene) -> Done | None:
    """Do what was asked for; a failure is answered, never raised.

    None hands the sentence to the chat model as if it had been no intent: what is said to the memory, which has its own
    way, and what the device cannot do but the chat model may.
    """
    if match.command:
        return None
    action, say = ACTIONS.get(match.intent, own.do_own), ""
    if match.template and (file := match.template.action):
        if file.do or match.intent not in ACTIONS:
            action = own.do_own
        else:  # one more way to say what the project brings
            say = file.say or ""
    try:
        done = await action(scene, match)
    except ServiceTimeout as exc:
        log.warning("%s：%s", match.intent, exc)
        return undone(scene, "no_answer")
    except PersonaError as exc:
        log.warning("%s：%s", match.intent, exc)
        return undone(scene, "failed")
    except Exception as exc:  # what a device or an owner's file holds must not end the turn
        log.exception("%s 出错：%s", match.intent, type(exc).__name__)
        return undone(scene, "failed")
    return replace(done, say=str(filled(say, match.slots))) if done and done.worked and say else done
