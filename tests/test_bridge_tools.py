"""The tools of the chat model in the bridge: whatever it calls and however it writes it, the turn ends with words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fakes.parts import FakeSynthesizer, ToolModel

from xiaozhi_persona.bridge import reply as replies
from xiaozhi_persona.bridge.reply import MAX_ROUNDS, Reply
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.bridge.tools import MAX_CALLS, Tool, Toolbox, arguments_of
from xiaozhi_persona.bridge.unrepeated import Unrepeated
from xiaozhi_persona.bridge.written_calls import WrittenCalls
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Message, ToolAnswer, ToolCall
from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.text.reply import ReplyReader

QUESTION = [Message("system", "你是小智。"), Message("user", "几点了")]
NAMES = ("clock_read", "clock_set")


class Clock:
    """Two tools, one for the chat model's own words and one that says what it did."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.calls: list[Any] = []
        self.hold: asyncio.Event | None = None
        self.error: Exception | None = None
        self.running = self.most = 0
        self.began = asyncio.Event()
        self.box = Toolbox(
            [
                Tool({"name": "clock_read", "parameters": {}}, self._read, timeout_s),
                Tool({"name": "clock_set", "parameters": {}}, self._set, timeout_s),
            ]
        )

    async def _read(self, arguments: Mapping[str, Any]) -> ToolAnswer:
        self.calls.append(arguments)
        self.running += 1
        self.most = max(self.most, self.running)
        self.began.set()
        try:
            if self.hold:
                await self.hold.wait()
            if self.error:
                raise self.error
            return ToolAnswer("三点", for_model=True)
        finally:
            self.running -= 1

    async def _set(self, arguments: Mapping[str, Any]) -> ToolAnswer:
        self.calls.append(arguments)
        return ToolAnswer("好，设好了。")


async def spoken(
    model: ToolModel, clock: Clock, waiting: Sequence[str] = (), plays_until_s: float = 0.0
) -> list[str]:
    """Return what is said in answer, with a star before what is ours."""
    settings = Settings()
    pipeline = SpeechPipeline(
        FakeSynthesizer(),
        EmotionChoices(Casting(settings), settings).of(),
        timeout_s=5.0,
        phrases=settings.phrases,
    )
    reply = Reply(
        model,
        clock.box,
        pipeline,
        TurnTimeline(),
        plays_until_s=lambda: plays_until_s,
        speech_timeout_s=5.0,
        waiting=waiting,
    )
    async with contextlib.aclosing(pipeline):
        try:
            await reply.write(QUESTION)
        finally:
            pipeline.finish()
        said = ["*" * sentence.is_aside + sentence.subtitle async for sentence in pipeline]
    assert model.closed == len(model.asked) and not clock.running
    return said


def call(name: str = "clock_read", arguments: str = "{}", id: str = "a") -> ToolCall:
    return ToolCall(id, name, arguments)


async def test_what_a_tool_answers_is_told_to_the_model_and_put_in_its_words() -> None:
    clock, model = Clock(), ToolModel(["我看看。", call(arguments='{"zone": "东京"}')], ["三点了。"])
    assert await spoken(model, clock) == ["我看看。", "三点了。"]
    assert clock.calls == [{"zone": "东京"}]
    assert model.offered == [[*NAMES]] * 2
    asked, told = model.asked[1][-2:]
    assert (asked.role, asked.content) == ("assistant", "我看看。")
    assert told == Message("tool", "三点", tool_call_id=asked.tool_calls[0].id)
    assert json.loads(asked.tool_calls[0].arguments) == {"zone": "东京"}


async def test_what_a_tool_says_itself_is_said_once_and_ends_the_reply() -> None:
    model = ToolModel([call("clock_set", '{"a": 1}'), call("clock_set", '{"a": 2}', "b")])
    clock = Clock()
    assert await spoken(model, clock) == ["好，设好了。"]
    assert len(model.asked) == 1 and len(clock.calls) == 2


async def test_calls_of_one_round_run_at_the_same_time_and_the_same_call_once() -> None:
    calls = [call(arguments=json.dumps({"n": n % 3}), id="same") for n in range(6)]
    clock, model = Clock(), ToolModel(calls, ["好。"])
    clock.hold = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, clock.hold.set)
    assert await spoken(model, clock) == ["好。"]
    assert len(clock.calls) == clock.most == 3
    ids = [message.tool_call_id for message in model.asked[1] if message.role == "tool"]
    assert len(set(ids)) == 6 and model.told == ["三点"] * 6


async def test_of_too_many_calls_the_rest_is_refused() -> None:
    calls = [call(arguments=json.dumps({"n": n}), id=str(n)) for n in range(10)]
    clock, model = Clock(), ToolModel(calls, ["好。"])
    assert await spoken(model, clock) == ["好。"]
    assert len(clock.calls) == MAX_CALLS
    assert ["没有做" in text for text in model.told] == [False] * MAX_CALLS + [True] * (10 - MAX_CALLS)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (call("make_coffee"), "没有叫 make_coffee 的工具"),
        (call("打开灯"), "没有叫"),
        (call(""), "没有叫"),
        (call(arguments="[1, 2]"), "读不懂"),
        (call(arguments="昨天"), "读不懂"),
        (call(arguments="{" * 50_000), "读不懂"),
        (call(arguments="[" * 5000), "读不懂"),
    ],
)
async def test_what_is_wrong_with_a_call_is_told_to_the_model(wrong: ToolCall, complaint: str) -> None:
    clock, model = Clock(), ToolModel([wrong], ["不行。"])
    assert await spoken(model, clock) == ["不行。"]
    assert complaint in model.told[0] and not clock.calls
    sent = model.asked[1][-2].tool_calls[0]
    assert sent.name.isascii() and sent.name and isinstance(json.loads(sent.arguments), dict)


@pytest.mark.parametrize("error", [ServiceUnavailable("没电了"), RuntimeError("x"), "slow"])
async def test_a_tool_that_fails_or_takes_too_long_is_told(error: Exception | str) -> None:
    clock, model = Clock(timeout_s=0.05), ToolModel([call()], ["没办成。"])
    if isinstance(error, str):
        clock.hold = asyncio.Event()
    else:
        clock.error = error
    assert await spoken(model, clock) == ["没办成。"]
    assert "没有办成" in model.told[0] or "没有回答" in model.told[0]


async def test_a_model_that_never_stops_calling_is_stopped() -> None:
    clock, model = Clock(), ToolModel([call()])
    said = await spoken(model, clock)
    assert len(model.asked) == MAX_ROUNDS + 1 and "不能再调用" in model.told[-1]
    assert said[0].startswith("*")  # the apology: it has said nothing


@pytest.mark.parametrize("said", ["我看看。", "【高兴】我看看。"])
@pytest.mark.parametrize(
    "again", [["我看看。", "三点了。"], ["我看", "看。三点了。"], ["  我看看。\n三点了。"]]
)
async def test_what_was_said_before_the_call_is_not_said_again(again: list[str], said: str) -> None:
    assert await spoken(ToolModel([said, call()], again), Clock()) == ["我看看。", "三点了。"]


async def test_what_was_written_is_said_while_the_tools_work() -> None:
    assert await spoken(ToolModel(["我看看", call()], ["三点了。"]), Clock()) == ["我看看", "三点了。"]


async def test_words_that_begin_alike_are_said_whole() -> None:
    assert await spoken(ToolModel(["我看看。", call()], ["我看", "三点。"]), Clock()) == [
        "我看看。",
        "我看三点。",
    ]
    assert await spoken(ToolModel(["我看看。", call()], ["我看"]), Clock()) == ["我看看。", "我看"]


async def test_silence_is_filled_once_with_each_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "FILL_AFTER_S", 0.01)
    clock, model = Clock(), ToolModel([call()], ["三点了。"])
    clock.hold = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, clock.hold.set)
    assert await spoken(model, clock, waiting=("稍等。",)) == ["*稍等。", "三点了。"]


async def test_it_is_no_silence_while_something_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "FILL_AFTER_S", 0.01)
    clock, model = Clock(), ToolModel([call()], ["三点了。"])
    clock.hold = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, clock.hold.set)
    assert await spoken(model, clock, waiting=("稍等。",), plays_until_s=time.monotonic() + 9.0) == [
        "三点了。"
    ]


async def test_nothing_is_filled_where_a_tool_is_quick_or_the_role_wants_none() -> None:
    for waiting in ((), ("稍等。",)):
        began = time.monotonic()
        assert await spoken(ToolModel([call()], ["三点了。"]), Clock(), waiting) == ["三点了。"]
        assert time.monotonic() - began < replies.FILL_AFTER_S


async def test_cancelled_in_a_call_it_leaves_nothing_running() -> None:
    clock, model = Clock(), ToolModel([call(), call(arguments='{"n": 1}')], ["三点了。"])
    clock.hold = asyncio.Event()
    task = asyncio.create_task(spoken(model, clock, waiting=("稍等。",)))
    await asyncio.wait_for(clock.began.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not clock.running and model.closed == 1


async def test_the_model_fails_after_its_tools() -> None:
    model = ToolModel([call()], [ServiceUnavailable("没有回答")])
    with pytest.raises(ServiceUnavailable):
        await spoken(model, Clock())


WRITTEN = [
    '<tool_call>{"name": "clock_read", "arguments": {"n": 1}}</tool_call>',
    '<tool_call>\n{"name": "clock_read", "arguments": {"n": 1}}\n</tool_call>',
    '<tool_call>{"name": "clock_read", "arguments": {"n": 1',
    '<TOOL_CALL>{"name": "clock_read", "parameters": {"n": 1}}</TOOL_CALL>',
    "<tool_call><function=clock_read><parameter=n>\n1\n</parameter></function></tool_call>",
    '<function=clock_read>{"n": 1}</function>',
    '{"name": "clock_read", "arguments": {"n": 1}}',
    "{'name': 'clock_read', 'arguments': {'n': 1}}",
    '{"name": "clock_read", "n": 1}',
    '```json\n{"name": "clock_read", "arguments": {"n": 1}}\n```',
    '{"tool_calls": [{"function": {"name": "clock_read", "arguments": "{\\"n\\": 1}"}}]}',
    '[{"name": "clock_read", "arguments": {"n": 1}}]',
    '[TOOL_CALLS] [{"name": "clock_read", "arguments": {"n": 1}}]',
    '<|python_tag|>{"name": "clock_read", "parameters": {"n": 1}}',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>clock_read\n```json\n{"n": 1}\n```'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "clock_read(n=1)",
    "print(clock_read(n=1))",
    "tool_code\nclock_read(n=1)",
    "tool_code\nprint(clock_read(n=1))",
    "```tool_code\nclock_read(n=1)\n```",
    "```tool_code\nprint(clock_read(n=1))",
]


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("written", WRITTEN)
async def test_a_call_that_is_written_is_made_and_never_spoken(written: str, step: int) -> None:
    text = f"我看看。{written}"
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    clock, model = Clock(), ToolModel(pieces, ["三点了。"])
    assert await spoken(model, clock) == ["我看看。", "三点了。"]
    assert [*map(str, clock.calls)] in (["{'n': 1}"], ["{'n': '1'}"])
    assert model.asked[1][-2].content.partition("```tool")[0] == "我看看。"


@pytest.mark.parametrize("left_open", ["```tool_code\n", "```py\nx = 1\n", "<think>要", "$$x", "<!-- 查"])
async def test_what_a_round_leaves_open_hides_nothing_of_the_next(left_open: str) -> None:
    model = ToolModel([f"我看看。\n{left_open}", call()], ["三点了。"])
    assert await spoken(model, Clock()) == ["我看看。", "三点了。"]
    model = ToolModel(['{"thought":"要', call()], ["三点了。"])
    assert await spoken(model, Clock()) == ["三点了。"]


def test_the_feeling_of_a_round_goes_on_in_the_next() -> None:
    reader = ReplyReader(built_in_names())
    segments = (
        reader.feed("[高兴]好。<think>") + reader.end_part() + reader.feed("三点了。") + reader.finish()
    )
    assert [(s.text, s.emotion.face if s.emotion else None) for s in segments] == [
        ("好。", "happy"),
        ("三点了。", "happy"),
    ]


@pytest.mark.parametrize(
    "written", ['<tool_call>{"name": "coffee", "arguments": {}}</tool_call>', "<tool_call>乱</tool_call>"]
)
async def test_a_written_call_of_no_tool_is_told_and_never_spoken(written: str) -> None:
    model = ToolModel([written], ["没有这个。"])
    assert await spoken(model, Clock()) == ["没有这个。"]
    assert "没有叫" in model.told[0]


@pytest.mark.parametrize(
    "text",
    [
        "【高兴】你好[高兴]{呵}a<3 b>2",
        "people and clocks (n)",
        '给你 {"name": "小明", "age": 3}',
        "```py\nx = 1\n```",
        "`a` [1] [{",
        '<think>我要 <tool_call>{"name": "clock_read", "arguments": {}}</tool_call></ok></think>好 < 的',
        '<THINK>{"name": "clock_read", "arguments": {}} </thi',
        "clock",
        "你可以调用clock_read(zone)来看时间",
        "用<tool_call>标签来调用工具，然后等结果。",
        "clock_set(time now) is fun, print(it) too, clock_read(",
        '{"emotion": "happy", "text": "好"} [{"text": "好"}]',
        '```json\n{"text": "好"}\n```',
    ],
)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_other_text_is_as_it_was(text: str, step: int) -> None:
    reader = WrittenCalls(NAMES)
    pieces = [reader.feed(text[start : start + step]) for start in range(0, len(text), step)]
    assert "".join(pieces) + reader.finish() == text and not reader.calls


def test_text_is_not_held_back_without_need() -> None:
    for names in (NAMES, ()):
        reader = WrittenCalls(names)
        for piece in ("【高兴】", "你好", "呀，[高兴]", "a < b"):
            assert reader.feed(piece) == piece
    reader = WrittenCalls(NAMES)
    assert reader.feed('{"emotion":"happy","text":"你好') == '{"emotion":"happy","text":"你好'
    assert reader.feed("，clock_read(zone") == "，" and reader.feed(") 是") == "clock_read(zone) 是"
    assert WrittenCalls(()).feed("<tool_call>") == "<tool_call>"
    assert Unrepeated([]).feed("我") == "我" and Unrepeated(["我看看"]).feed("好") == "好"


@pytest.mark.parametrize(
    ("before", "text", "said"),
    [
        ("好", "好像要下雨了。", "好像要下雨了。"),
        ("I", "It's sunny", "It's sunny"),
        ("I", "I'm here", "I'm here"),
        ("3", "3.5度", "3.5度"),
        ("我查一下", "我查一下子就好", "我查一下子就好"),
        ("我查一下", "我查一下，三点了。", "，三点了。"),
        ("我查一下。", "我查一下。三点了。", "三点了。"),
        ("Let me see", " Let me see now", " now"),
        ("好", "好", ""),
        ("我看看", "我", "我"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_what_was_said_before_is_left_out_only_up_to_a_words_end(
    before: str, text: str, said: str, step: int
) -> None:
    unrepeated = Unrepeated([before])
    pieces = [unrepeated.feed(text[start : start + step]) for start in range(0, len(text), step)]
    assert "".join(pieces) + unrepeated.finish() == said


@pytest.mark.parametrize(
    "unit",
    ['{"a":', "[{", "<", "`", '{"}', "clock_read(", "<tool_call>", '{"]', "{", '{"name": "' + "}" * 9_900],
)
def test_nothing_that_is_written_takes_long(unit: str) -> None:
    text = unit * (20_000 // len(unit)) if len(unit) < 20 else unit
    began = time.process_time()
    reader = WrittenCalls(NAMES)
    for start in range(0, len(text), 4):
        reader.feed(text[start : start + 4])
    reader.finish()
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1', {"a": 1}),
        ("{'a': 'b'}", {"a": "b"}),
        ('{"a": "b",}', {"a": "b"}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("null", None),
        ("昨天", None),
    ],
)
def test_arguments_are_repaired(text: str, arguments: dict[str, Any] | None) -> None:
    assert arguments_of(text) == arguments


def test_a_name_without_its_beginning_is_known_where_it_is_the_only_one() -> None:
    box = Clock().box
    assert (
        box._find("READ") is box._tools["clock_read"] and box._find("clock") is None and box._find("") is None
    )
