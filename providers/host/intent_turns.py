"""The intents of one connection: what is said is looked at before the host's own ways, and carried out beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import anyio
from core.utils.dialogue import Message
from core.utils.util import remove_punctuation_and_length

from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.connection import (
    has_tts_door,
    is_chatting,
    role_section,
    texts_of_the_host,
)
from xiaozhi_persona.providers.host.device_tools import PHOTO_S, DeviceTools
from xiaozhi_persona.providers.host.host_scene import HostScene
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.own_words import OwnWords
from xiaozhi_persona.providers.host.role_change import play_role, plays_another
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.sections import role_of
from xiaozhi_persona.providers.host.shared_intents import SharedIntents
from xiaozhi_persona.providers.host.utterance import read_utterance
from xiaozhi_persona.providers.intent.actions.carry_out import carry_out
from xiaozhi_persona.providers.intent.actions.scene import Done, language_of
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Owner
from xiaozhi_persona.text.reply import sentences_of

if TYPE_CHECKING:
    from xiaozhi_persona.memory.persona_memory import PersonaMemory

log = logging.getLogger(__name__)

_MOST_CHARACTERS = 1000
"""What is longer is no intent, and no wake word either."""
_ANSWER_S = 5.0
"""When an intent is answered at the latest, so that the device never hangs in "speaking"."""
_OWN_S = 10.0
"""The same of an owner's intent, which may ask a server of the owner's."""
_MAX_WAITING = 4
"""So many commands may be under way for a device; what comes beyond goes to the chat model."""
_ALWAYS = ("stop", "exit")
_CLOSE_S = 20.0
"""When a connection is closed whose goodbye never came to its end."""
_HEARD_S = 3.0
"""When what was said unasked counts as said though no sound of it has been sent: the voice has none."""
_UNASKED_S = 10.0
_POLL_S = 0.05


class Intents:
    """What one connection does with them. All but its making and `device_id` belongs on the host's loop."""

    def __init__(self, connection: Any, shared: SharedIntents) -> None:
        """Reads the roles: blocks for a moment where they are not read yet."""
        self.device_id = normal_id(str(getattr(connection, "device_id", None) or ""))
        self._connection = connection
        self._shared = shared
        self._casting = _casting(connection, shared.settings)
        self._role = self.casting.role(self.device_id)  # of the connection's prompt
        self._switching = threading.Lock()
        self._tools = DeviceTools(connection)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: dict[str, Any] = {}  # by the actions
        self._said = ""  # by us, the last time
        self._said_after: Any = None  # the message of the dialogue that was the last one then
        self._says_goodbye = False
        submit(shared.connect(self))

    @property
    def casting(self) -> Casting:
        """The roles of this connection's voice."""
        return getattr(self._connection.tts, "casting", None) or self._casting

    async def take(self, heard: str, original: Any) -> bool:
        """Return whether it was an intent, which is carried out meanwhile; `original` is the host's own way."""
        connection = self._connection
        if self._says_goodbye:  # whoever goes on talking stays
            self._says_goodbye = connection.close_after_chat = False
        text, speaker = read_utterance(heard, _MOST_CHARACTERS)
        if not text or getattr(connection, "calling", False) or self._is_of_the_host(text):
            return False
        began_s = time.monotonic()
        match = self._shared.route(text)
        took_us = (time.monotonic() - began_s) * 1e6
        await self._follow_role()
        is_full = len(self._tasks) >= _MAX_WAITING and match is not None and match.intent not in _ALWAYS
        if match is None or match.command is not None or is_full:
            log.info("交给对话模型（意图用了 %.0f 微秒）", took_us)
            return False
        log.info("本地意图 %s（%.0f 微秒）", match.intent, took_us)
        log.debug("意图的话：%s", text)
        words = OwnWords(connection)
        await words.show(heard)
        self._start(self._answer(match, text, speaker, heard, words, original), "host-intent")
        return True

    @property
    def owner_id(self) -> str:
        """Whose timers and alarms ring here."""
        return self._shared.settings.memory.owner_of(self.device_id)

    @property
    def quiet_s(self) -> float:
        """For how long nobody has spoken, 0 while somebody does: may be asked from any thread."""
        connection = self._connection
        if connection.tts is None or connection.client_is_speaking or self._tasks or is_chatting(connection):
            return 0.0
        return float(time.time() - connection.last_activity_time / 1000)

    @property
    def mind(self) -> tuple[PersonaMemory, Owner] | None:
        """The memory of this connection, and whose it is; None where it is not ours."""
        return getattr(self._connection.memory, "mind", None)

    async def say_unasked(self, text: str, *, aside: bool) -> bool:
        """Say something that nobody asked for now; return whether it could be. Called on our loop.

        Unless it is said `aside`, it stands in the dialogue that the host's model is shown.
        """
        work = asyncio.run_coroutine_threadsafe(self._say_unasked(text, aside), self._connection.loop)
        with anyio.move_on_after(_UNASKED_S):
            return await asyncio.wrap_future(work)
        return False

    def follow_role(self, *, again: bool = False) -> None:
        """Have the connection's model be the role that the device has been switched to, if it was. Blocks.

        `again`: also where it was that role before, and something else has been put in its place.
        """
        with self._switching:
            role = self.casting.role(self.device_id)
            if again or role is not self._role:
                self._role = role
                play_role(self._connection, self.casting, self.device_id)

    def close(self) -> None:
        """The connection has ended: nothing of it goes on."""
        submit(self._shared.disconnect(self))
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_role(self, *, again: bool = False) -> None:
        if again or self.casting.role(self.device_id) is not self._role:
            await asyncio.to_thread(self.follow_role, again=again)

    async def _answer(
        self, match: Match, text: str, speaker: str, heard: str, words: OwnWords, original: Any
    ) -> None:
        try:
            if match.intent == "stop":
                await words.stop()
            done = await self._done(match, text, words)
            if done is None:
                await self._hand_to_model(heard, words, original)
                return
            if match.intent != "stop":
                await self._say(done, words)
            keep = getattr(self._connection.memory, "carried_out", None)
            if keep and not match.tells_memory:
                keep(text, speaker, "".join(self._sentences(done.say)))
        except Exception:
            log.exception("这个意图没有做成")
            await words.end()
        if self._connection.stop_event.is_set():
            return
        log.info("本地意图 %s 做完了，对话模型有 %d 个工具", match.intent, self._tools.for_model())
        if self._says_goodbye:
            await self._close_at_last()

    async def _done(self, match: Match, text: str, words: OwnWords) -> Done | None:
        """Carry an intent out after those before it: two steps louder are two, not one twice."""
        scene = self._scene(text, words)
        is_own = bool(match.template and match.template.action)
        limit_s = PHOTO_S if match.intent == "photo" else _OWN_S if is_own else _ANSWER_S
        done: Done | None = Done(said(scene.language, "no_answer"))
        with anyio.move_on_after(limit_s):
            async with self._one_at_a_time:
                done = await carry_out(match, scene)
        comes_back = match.intent == "role_switch" and plays_another(self._connection)
        await self._follow_role(again=comes_back)
        return done

    async def _say(self, done: Done, words: OwnWords) -> None:
        may_speak = await words.wait_for_voice()
        if done.ends_connection and not words.is_over:
            self._says_goodbye = self._connection.close_after_chat = True
        if done.say and may_speak:
            self._speak(done.say, words)
        await words.end()

    async def _hand_to_model(self, heard: str, words: OwnWords, original: Any) -> None:
        """Go on as the host does when nothing was an intent."""
        if await words.wait_for_voice() and not await original(self._connection, heard):
            log.info("这个意图交给对话模型")
            self._connection.executor.submit(self._connection.chat, heard)
        else:
            await words.end()

    async def _close_at_last(self) -> None:
        connection, left_s = self._connection, _CLOSE_S
        while self._says_goodbye and connection.close_after_chat and not connection.stop_event.is_set():
            if left_s <= 0:
                await connection.close()
                return
            left_s -= _POLL_S
            await asyncio.sleep(_POLL_S)

    async def _say_unasked(self, text: str, aside: bool) -> bool:
        words = OwnWords(self._connection)
        await words.show(None)
        if await words.wait_for_voice():
            self._speak(text, words)
        await words.end()
        with anyio.move_on_after(_HEARD_S):
            while not (words.is_heard or words.is_over):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        is_said = words.is_heard or not words.is_over
        if is_said and not aside:
            self._connection.dialogue.put(Message(role="assistant", content=text))
        return is_said

    def _scene(self, text: str, words: OwnWords) -> HostScene:
        return HostScene(
            self._connection,
            self.device_id,
            self.owner_id,
            language_of(text),
            self.casting,
            self._shared.scheduler,
            self._last_said(),
            self._kept,
            self._tools,
            words,
        )

    def _speak(self, text: str, words: OwnWords) -> None:
        sentences = self._sentences(text)
        self._said, self._said_after = "".join(sentences), self._last_message()
        words.say([text] if has_tts_door(self._connection) else sentences)

    def _last_said(self) -> str:
        last = self._last_message()
        if last is None or last is self._said_after:
            return self._said
        return "".join(self._sentences(str(last.content)))

    def _last_message(self) -> Any:
        """Return the last thing that the host's model said; None for nothing."""
        messages = list(self._connection.dialogue.dialogue)
        spoken = (one for one in reversed(messages) if one.role == "assistant" and one.content)
        return next((one for one in spoken if not getattr(one, "is_temporary", False)), None)

    def _sentences(self, text: str) -> list[str]:
        """Return a text without emotion tags, which only our voices understand."""
        return [*sentences_of(text, self.casting.role(self.device_id).emotion_names)]

    def _is_of_the_host(self, text: str) -> bool:
        """Whether it is a wake word, or what the host asks its model in the user's place."""
        wake_words = self._connection.config.get("wakeup_words") or ()
        return remove_punctuation_and_length(text)[1] in wake_words or text in texts_of_the_host(
            self._connection
        )


def _casting(connection: Any, settings: Settings) -> Casting:
    """Return the roles where the voice is not ours."""
    with contextlib.suppress(PersonaError):  # which the voice and the memory tell
        settings = settings.model_copy(update=role_of(role_section(connection)))
    return casting_of(settings)
