"""The embedded chat model: no network and no neural network, but rules and the memory it is given.

It greets, comforts, notes what the user tells and says it back when asked, and says plainly that it is no more.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date, datetime
from itertools import cycle
from typing import Any

from xiaozhi_persona.memory.facts.rules import stated
from xiaozhi_persona.memory.unwritten import cause_told
from xiaozhi_persona.providers.llm.offline_facts import FACTS, Fact, asked_for, known, said_back, told_in
from xiaozhi_persona.providers.llm.offline_recall import (
    LONGEST_CHARACTERS,
    Statement,
    best_matches,
    days_in,
    is_question,
    of_days,
    quoted,
    role_name,
    said_on,
    second_person,
    statements,
    times_without_record,
)
from xiaozhi_persona.providers.llm.offline_rules import (
    DOINGS,
    FEELINGS,
    OFFLINE,
    OFFLINE_EN,
    TALK,
    feature_asked_for,
    has_set_answer,
)
from xiaozhi_persona.spine import ChatDelta, Message

_PIECE_CHARACTERS = (4, 2, 6, 3, 5)


class OfflineChatModel:
    """A ChatModel. The same messages always get the same reply; an emotion tag begins each change of feeling.

    It reads the time from "现在是 2026-11-20 19:03" in a system message, else from the machine, the role's name from
    "你是..." or "你叫...", and what is remembered from the lines between <memory> and </memory>.
    """

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        """Yield the reply in pieces of 2 to 6 characters. Tools are never called."""
        text, start = reply(messages), 0
        for size in cycle(_PIECE_CHARACTERS):
            if start >= len(text):
                return
            yield ChatDelta(text=text[start : start + size])
            start += size


def reply(messages: Sequence[Message]) -> str:
    """Return the whole reply to the last message."""
    return _Conversation(messages).reply()


class _Conversation:
    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        system = "\n".join(message.content for message in messages if message.role == "system")
        self._question = messages[-1].content[:LONGEST_CHARACTERS].strip(_AROUND) if messages else ""
        self._english = bool(_LATIN.search(self._question)) and not _HAN.search(self._question)
        self._not_kept = cause_told(system)
        self._now = _time_in(system)
        self._today: date = self._now.date()
        self._me = role_name(system) or "小智"
        self._said = [s for s in statements(messages, self._now) if _tells(s.text.strip(_AROUND))]
        self._replies = [message.content for message in messages if message.role == "assistant"]

    def reply(self) -> str:
        """Return the reply, which says at most once in the conversation that there are better chat models."""
        text = self._whole_reply()
        if any(hint in reply for hint in (OFFLINE, OFFLINE_EN) for reply in self._replies):
            text = _HINT.sub("", text)
        if self._not_kept and ("记住了" in text or "I will remember" in text):
            if self._english:
                return "【悲伤】I am sorry, I cannot keep that: my memory cannot be written to."
            return f"【悲伤】抱歉，{self._not_kept}，这句话我没能记住。"
        return text

    def _whole_reply(self) -> str:
        steps = (
            self._talk,
            self._repeat,
            self._remember_me,
            self._answer,
            self._note,
            self._feature,
            self._look_back,
        )
        for step in (*steps, self._feel, self._doing):
            if text := step():
                return text
        if self._english:
            return f"【悲伤】I have no answer to that. 【中性】{OFFLINE_EN}"
        if not self._question or is_question(self._question):
            return f"【悲伤】这个我答不上来。【中性】{OFFLINE}"
        return f"【中性】你说{self._echo(30, '的')}，我听到了。【悲伤】{OFFLINE}"

    # The steps: each returns the reply, or "" when it is not its turn

    def _talk(self) -> str:
        for words, text in TALK:
            if match := words.fullmatch(self._question):
                return self._filled(text, match.groupdict().get("hi", ""))
        return ""

    def _repeat(self) -> str:
        match = _ABOUT_WORDS.search(self._question)
        if match and not match["keep"]:
            return self._replies[-1] if self._replies else "【中性】我还没有说过什么。"
        if match:
            last = quoted(self._said[:1], self._today)
            return f"【高兴】好，记住了，{last}。" if last else "【惊讶】要记住什么？【高兴】说给我听吧。"
        return ""

    def _remember_me(self) -> str:
        if not _KNOWS_ME.search(self._question):
            return ""
        if self._english:
            name = known(_NAME, self._said)
            told = f"【高兴】Of course: {said_back(name, english=True)}." if name else ""
            return told or "【悲伤】I do not know you yet. 【高兴】What is your name?"
        facts = [found for fact in FACTS if (found := known(fact, self._said))][:2]
        told = "，".join(map(said_back, facts)) or quoted(self._said[:1], self._today)
        return (
            f"【高兴】当然记得，{told}。" if told else "【悲伤】我还不认识你。【高兴】告诉我你叫什么名字吧。"
        )

    def _answer(self) -> str:
        """Answer a question for a fact."""
        asked = asked_for(self._question)
        if not asked:
            return ""
        found = known(asked[0], self._said, asked[1])
        if found:
            return f"【高兴】{'I remember: ' if self._english else '我记得，'}{said_back(found, self._english)}{self._stop}"
        near = best_matches(self._question, self._said, at_least=0.5)[:1]
        return self._recalled(near)

    def _note(self) -> str:
        """Say back the facts that the user tells."""
        statement = Statement(self._question, self._now)
        if is_question(self._question):
            return ""
        told = [found for fact in FACTS if (found := list(told_in(statement, fact)))]
        if not told:
            return ""
        notes = "，".join(said_back(found, self._english) for found in told)
        return f"【高兴】{'I will remember: ' if self._english else '记住了，'}{notes}{self._stop}"

    def _feature(self) -> str:
        thing = feature_asked_for(self._question)
        if not thing:
            return ""
        if self._english:
            return f"【悲伤】That I cannot do. 【中性】{OFFLINE_EN}"
        return f"【悲伤】{thing}我现在办不到。【中性】{OFFLINE}"

    def _look_back(self) -> str:
        """Answer a question about what was, or what the user has said."""
        days = days_in(self._question, self._today)
        is_past = days is not None and days[0] < self._today
        if not is_question(self._question) or not (
            is_past or _ABOUT_USER.search(_FAVOUR.sub("", self._question))
        ):
            return ""
        if _CONVERSATION.search(self._question):
            return self._recalled(said_on(self._said, days) if days else self._said, most=4)
        if days and _ANYTHING.search(self._question):
            return self._recalled(of_days(self._said, days, self._today), most=4)
        said = of_days(self._said, days, self._today) if days else self._said
        return self._recalled(best_matches(self._question, said)[:1])

    def _feel(self) -> str:
        if is_question(self._question):
            return ""
        return next((self._filled(text) for words, text in FEELINGS if words.search(self._question)), "")

    def _doing(self) -> str:
        if is_question(self._question):
            return ""
        if self._english:
            echo = second_person(self._question)
            is_own = _OWN.search(self._question)
            return f"【高兴】I will remember that {echo[:1].lower()}{echo[1:]}." if is_own else ""
        if _REQUEST.search(self._question) or not stated(self._question):
            return ""
        if not (not {"我", "咱"}.isdisjoint(self._question) or days_in(self._question, self._today)):
            return ""
        return next(self._filled(text, limit=40) for words, text in DOINGS if words.search(self._question))

    # Parts of replies

    def _recalled(self, said: Sequence[Statement], most: int = 1) -> str:
        # The conversation may be in the memory too.
        unique = list({second_person(statement.text): statement for statement in reversed(said)}.values())
        chosen = unique[-most:]
        if not chosen:
            return f"【悲伤】{self._unknown}"
        quote = quoted(chosen, self._today)
        feeling = "悲伤" if any(_is_sad(statement.text) for statement in chosen) else "高兴"
        return f"【{feeling}】{'I remember: ' if self._english else '我记得，'}{quote}{self._stop}"

    @property
    def _unknown(self) -> str:
        times = times_without_record(self._messages, self._today, self._english)
        if self._english:
            none = f"There is no record of {' and '.join(times)}." if times else "I do not remember that."
            return f"{none} You can tell me."
        return f"{'、'.join(times)}没有记录。" if times else "这个我不记得了，你可以告诉我。"

    def _filled(self, text: str, hi: str = "", limit: int = 16) -> str:
        slots = {
            "hi": hi[:1].upper() + hi[1:],
            "me": self._me,
            "name": self._user_name(),
            "echo": self._echo(limit, "听你这样说"),
            "clock": f"{self._now:%H:%M}" if self._english else f"{self._now.hour}点{self._now:%M}分",
            "date": f"{self._now.year}年{self._now.month}月{self._now.day}日，星期{'一二三四五六日'[self._now.weekday()]}",
            "offline": OFFLINE_EN if self._english else OFFLINE,
        }
        return text.format(**slots)

    def _echo(self, limit: int, otherwise: str) -> str:
        echo = second_person(self._question)
        return echo if len(echo) <= limit else otherwise

    def _user_name(self) -> str:
        name = next((item.value for item in known(_NAME, self._said)), "")
        return f"{', ' if self._english else '，'}{name}" if name else ""

    @property
    def _stop(self) -> str:
        return "." if self._english else "。"


def _tells(text: str) -> bool:
    """Whether a statement is worth saying back: no greeting, no request, no joke, nothing that is only supposed."""
    is_said_to_me = has_set_answer(text) or feature_asked_for(text) or _ABOUT_WORDS.search(text)
    return not is_said_to_me and bool(stated(text))


_AROUND = " \t\n，。！？、；：,.!?;:~…"
_ABOUT_WORDS = re.compile(
    r"再[说讲]一[遍次]|重复一[遍次]|没听清|say (?:it|that) again|(?P<keep>^(?:请|帮我|你要)*记住(?:这|它|了)?(?:件事|个|句话)?$)",
    re.I,
)
_NAME: Fact = FACTS[0]
_HINT = re.compile(rf"(?<!\s)\s*【\w+】(?:{re.escape(OFFLINE)}|{re.escape(OFFLINE_EN)})")
_LATIN = re.compile("[A-Za-z]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_KNOWS_ME = re.compile("记得我(?:吗|么|不|是谁|$)|认识我|remember me", re.I)
_OWN = re.compile(r"\b(?:i|my|we)\b", re.I)
_REQUEST = re.compile("^(?:请|帮我|给我)|吧$")
_CLOCK = re.compile(r"现在是 ?(\d{4}-\d{2}-\d{2} \d{2}:\d{2})")
_ABOUT_USER = re.compile(r"我|咱|记得|聊|说过|\b(?:my|i|me|we)\b", re.I)
_FAVOUR = re.compile(
    r"(?:[给帮跟陪]|告诉|能教|请教)我|我(?:想|要)?(?:知道|问)|\b(?:tell|help|give) me\b|\b(?:can|could|may) i\b",
    re.I,
)
_CONVERSATION = re.compile(
    r"[聊谈]了?[什些过]|聊的|说了?(?:过|些)?什么|说过啥|记得些?什么|(?:did we|we) (?:talk|chat)", re.I
)
_ANYTHING = re.compile(
    r"[做干]了?些?(?:什么|啥)|干嘛|发生了?什么|有什么(?:事|安排|计划)|怎么过|what did i do", re.I
)


def _is_sad(text: str) -> bool:
    return next((reply.startswith("【悲伤】") for words, reply in FEELINGS if words.search(text)), False)


def _time_in(system: str) -> datetime:
    match = _CLOCK.search(system)
    try:
        return datetime.strptime(match[1], "%Y-%m-%d %H:%M") if match else datetime.now()
    except ValueError:
        return datetime.now()
