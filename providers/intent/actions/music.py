"""Music on the device (py-xiaozhi's `music_player`), or by the host's `play_music`; and photos."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.tools import call, cannot, found, json_of
from xiaozhi_persona.providers.intent.actions.wording import said, undone
from xiaozhi_persona.providers.intent.router import Match

_PLAYERS = ("music_player.search_and_play", "self.music.play_song", "play_music")
_ABOUT = ("music", "media", "song", "play_")
_FAILED = pattern(
    r"失败|错误|未找到|没有找到|没找到|找不到|无法|不可用|没有正在|没有歌|\berror|fail|not found", re.I
)
"""What py-xiaozhi's player says of what did not work; nothing else in its answers tells."""
_MAX_SAID_CHARACTERS = 500
_TOLD = ("response", "result", "text", "message", "answer")
"""Under which a camera's JSON says what is seen."""


async def music_play(scene: Scene, match: Match) -> Done | None:
    """Play a song. Which one, where none is named, only the host's player knows: else the chat model chooses."""
    names = await scene.tool_names()
    player, song = found(names, *_PLAYERS), match.slots.get("song", "")
    if player is None:
        return cannot(scene, names, *_ABOUT)
    if not song and not player.endswith("play_music"):
        return None
    answer = await call(scene, player, {"song_name": song or "random"})
    return _of_player(scene, answer, said(scene.language, "playing", song=song) if song else "")


def _control(tool: str, name: str) -> Callable[[Scene, Match], Awaitable[Done | None]]:
    async def act(scene: Scene, match: Match) -> Done | None:
        names = await scene.tool_names()
        player = found(names, f"music_player.{tool}", f"self.music.{tool}")
        if player is None:
            return cannot(scene, names, *_ABOUT)
        return _of_player(scene, await call(scene, player, {}), said(scene.language, name))

    return act


music_pause, music_resume = _control("pause", "music_paused"), _control("resume", "music_on")
music_next, music_prev = _control("next", "music_on"), _control("previous", "music_on")


async def photo(scene: Scene, match: Match) -> Done | None:
    """Take a photo, and say what is seen on it."""
    names = await scene.tool_names()
    camera = found(names, "self.camera.take_photo", "take_photo")
    if camera is None:
        return cannot(scene, names, "camera", "photo")
    question = match.slots.get("question") or said(scene.language, "photo_question")
    text = await call(scene, camera, {"question": question})
    answer = json_of(text)
    if isinstance(answer, dict) and isinstance(answer.get("vision_analysis"), dict):
        answer = answer["vision_analysis"]  # of the host's web page, whose message is the question
    if isinstance(answer, dict):
        text = next((value for key in _TOLD if isinstance(value := answer.get(key), str)), "")
    return Done(text.strip()[:_MAX_SAID_CHARACTERS] or said(scene.language, "photo_taken"))


def _of_player(scene: Scene, answer: str, otherwise: str) -> Done:
    """Return what a player itself says of a failure, else a sentence of ours."""
    if _FAILED.search(answer):
        text = answer.strip()
        is_sentence = len(text) <= 60 and text[0] not in "{["
        return Done(text, worked=False) if is_sentence else undone(scene, "failed")
    return Done(otherwise)
