"""Timers and alarms: set, cancelled, asked for. They are the scheduler's; a device that has its own is the chat model's.

What a device's own tools take differs from board to board, which the chat model reads in their descriptions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.times import clock_said, length_said, moment_said
from xiaozhi_persona.providers.intent.actions.wording import said, undone
from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.providers.intent.scheduler import Entry, Scheduler

_OWN = pattern(r"alarm|timer|reminder|countdown", re.IGNORECASE)
_ALL = pattern(r"所有|全部|全都|都|\ball\b|every|全て|すべて|全部", re.IGNORECASE)
_LAST = pattern(r"刚才|刚刚|刚[设定]|上一个|\blast\b|\bjust\b|さっき", re.IGNORECASE)
_TIMERS = pattern(r"计时|計時|倒计|倒計|定时|定時|倒数|倒數|番茄|timer|countdown|タイマー", re.IGNORECASE)
_ALARMS = pattern(r"闹[钟铃]|鬧[鐘鈴]|alarm|アラーム|目覚", re.IGNORECASE)
_MOST_TOLD = 3
_SOON = timedelta(seconds=60)
"""Until then a device stays connected by itself: it hangs up when nobody has spoken for longer, and cannot be called."""
_LATE = timedelta(seconds=90)
"""What rings later says by how much."""


async def timer_set(scene: Scene, match: Match) -> Done | None:
    """Let something ring in a while."""
    scheduler = await _ours(scene)
    if isinstance(scheduler, Scheduler):
        seconds, label = match.slots["seconds"], match.slots.get("label", "")
        entry = await asyncio.to_thread(
            scheduler.set_timer, scene.owner_id, scene.device_id, seconds, label, scene.language
        )
        return Done(_set(scene, entry, length_said(timedelta(seconds=seconds), scene.language)))
    return scheduler


async def alarm_set(scene: Scene, match: Match) -> Done | None:
    """Let something ring at a time of day."""
    scheduler = await _ours(scene)
    if isinstance(scheduler, Scheduler):
        when = {key: value for key, value in match.slots.items() if key != "label"}
        label = match.slots.get("label", "")
        entry = await asyncio.to_thread(
            scheduler.set_alarm, scene.owner_id, scene.device_id, when, label, scene.language
        )
        if entry is None:
            return undone(scene, "alarm_over")
        return Done(_set(scene, entry, moment_said(entry.due, scene.now(), scene.language, entry.again)))
    return scheduler


async def timer_cancel(scene: Scene, match: Match) -> Done | None:
    """Cancel what is named, or all, or the only one; of several, ask which."""
    scheduler = scene.scheduler
    entries = await _pending(scene)
    if scheduler is None or not entries:
        return await _none(scene)
    meant = _meant(entries, match)
    if not meant:
        return undone(scene, "no_such_alarm", list=_listed(scene, entries))
    if not _ALL.search(match.words):
        # Of several that are alike nobody could name one.
        is_plain = _LAST.search(match.words) or (match.named and _are_alike(meant))
        if len(meant) > 1 and not is_plain:
            return undone(scene, "which_alarm", count=len(meant), list=_listed(scene, meant))
        meant = [max(meant, key=lambda entry: entry.id)]  # the one that was set last
    count = await asyncio.to_thread(scheduler.cancel, meant)
    if count == 1:
        return Done(said(scene.language, "cancelled", what=_told(scene, meant[0])))
    return Done(said(scene.language, "cancelled_all", count=count))


async def timer_query(scene: Scene, match: Match) -> Done | None:
    """Tell how long there is to go, and when alarms ring."""
    entries = await _pending(scene)
    if not entries:
        return await _none(scene)
    meant = _meant(entries, match) or entries
    return Done(said(scene.language, "pending", list=_listed(scene, meant), count=len(meant)))


def ring(entries: Sequence[Entry], now: datetime) -> str:
    """Return what is said when these ring at one device; what is late says so."""
    return "".join(_rung(entry, now) for entry in entries)


def _rung(entry: Entry, now: datetime) -> str:
    language, late = entry.language, now - entry.due
    name = f"{entry.kind}_rings" + ("_for" if entry.label else "")
    text = said(language, name, time=clock_said(entry.due, language), label=entry.label)
    if late < _LATE:
        return text
    return said(language, "rang_late", late=length_said(late, language)) + text


async def _ours(scene: Scene) -> Scheduler | Done | None:
    """Return the scheduler; None where the device has its own, which the chat model asks; else what is answered."""
    if await _has_own(scene):
        return None
    if scene.scheduler is None or not scene.device_id:
        return undone(scene, "no_alarms")
    return scene.scheduler


async def _has_own(scene: Scene) -> bool:
    return any(_OWN.search(name) for name in await scene.tool_names())


async def _none(scene: Scene) -> Done | None:
    return None if await _has_own(scene) else undone(scene, "no_alarm_set")


async def _pending(scene: Scene) -> list[Entry]:
    scheduler = scene.scheduler
    return await asyncio.to_thread(scheduler.pending, scene.owner_id) if scheduler else []


def _meant(entries: Sequence[Entry], match: Match) -> list[Entry]:
    """Return the entries that a sentence may mean: of the kind and the time that it names."""
    is_timer, is_alarm = bool(_TIMERS.search(match.words)), bool(_ALARMS.search(match.words))
    kind = "timer" if is_timer and not is_alarm else "alarm" if is_alarm and not is_timer else ""
    of_kind = [entry for entry in entries if entry.kind == kind] if kind else []
    named = match.named
    # Many say alarm for a timer: where there is none of the kind, any is meant.
    return [entry for entry in of_kind or entries if _is_named(entry, named)]


def _are_alike(entries: Sequence[Entry]) -> bool:
    """Whether all are timers of one length, or alarms of one time."""
    return len({(entry.kind, entry.length_s or entry.due) for entry in entries}) == 1


def _is_named(entry: Entry, named: Mapping[str, Any]) -> bool:
    if "hour" in named:
        hours = {named["hour"], named["hour"] + 12} if named["hour"] < 12 else {named["hour"]}
        return entry.due.hour in hours and entry.due.minute == int(named["minute"])
    if "duration" in named and entry.kind == "timer":
        return entry.length_s == int(named["duration"])
    return True


def _set(scene: Scene, entry: Entry, when: str) -> str:
    language, label = scene.language, entry.label
    first = said(language, f"{entry.kind}_{'for' if label else 'set'}", when=when, label=label)
    return first if entry.due - scene.now() <= _SOON else first + said(language, "rings_when_connected")


def _listed(scene: Scene, entries: Sequence[Entry]) -> str:
    told = [_told(scene, entry) for entry in entries[:_MOST_TOLD]]
    text = said(scene.language, "and").join(told)
    return text + (said(scene.language, "and_more") if len(entries) > _MOST_TOLD else "")


def _told(scene: Scene, entry: Entry) -> str:
    """Return an entry as it is said: the timer with 3 minutes to go, the alarm of tomorrow at 7."""
    language, now = scene.language, scene.now()
    if entry.kind == "timer":
        when = length_said(entry.due - now, language)
    else:
        when = moment_said(entry.due, now, language, entry.again)
    name = f"{entry.kind}_told" + ("_for" if entry.label else "")
    return said(language, name, when=when, label=entry.label)
