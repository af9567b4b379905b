"""Roles that are switched in the bridge: voice, prompt, memory and opening line change as one, at the next sentence."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.parts import FakeSynthesizer, ToolModel, make_parts
from fakes.role_packs import write_role
from fakes.sovits_server import FakeSovits

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.tools import role_tools
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.roster import stored_memories
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.providers.tts.engine import open_synthesizer
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role_tool import ROLE_TOOL
from xiaozhi_persona.settings import MemorySettings, Settings
from xiaozhi_persona.spine import Clip, Owner, ToolCall

ONE, TWO = "aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"
MEI = r"""
name: 小梅
openings: ["【高兴】{{char}}来了。"]
personality: 爱说笑
gpt_weights: D:\w\mei.ckpt
sovits_weights: D:\w\mei.pth
speed: 1.2
"""
LAN = "name: 阿兰\nopenings: [在下阿兰。]\nmemory: {own: true}\n"


def role_call(action: str = "switch", role: str = "") -> ToolCall:
    return ToolCall("a", ROLE_TOOL, f'{{"action": "{action}", "role": "{role}"}}')


@dataclasses.dataclass
class Stage:
    """A bridge with a model that we script, and what it takes to look behind it."""

    rig: Rig
    model: ToolModel
    casting: Casting
    memories: Path

    @contextlib.asynccontextmanager
    async def device(self, device_id: str = ONE, **more: str) -> AsyncIterator[DeviceConnection]:
        async with self.rig.device(device_id=device_id, **more) as device:
            device.model.start_listening(0.0)  # else a text may be a wake word, for which it waits
            device._update()
            yield device

    async def say(self, device: DeviceConnection, text: str, *rounds: list[str | ToolCall]) -> list[str]:
        self.model.rounds = [*rounds] or [["好的。"]]
        device.type_text(text)
        return [sentence.text for sentence in (await device.reply(20)).sentences]

    @property
    def prompt(self) -> str:
        return self.model.asked[-1][0].content

    @property
    def told(self) -> str:
        """Everything that the model was given last."""
        return "\n".join(message.content for message in self.model.asked[-1])


@contextlib.asynccontextmanager
async def stage(
    folder: Path, synthesizer: Any = None, *, intents: bool = False, **more: Any
) -> AsyncIterator[Stage]:
    for role_id, sheet in (("mei", MEI), ("lan", LAN)):
        write_role(folder / "roles" / role_id, sheet, {"中性/a": f"{role_id}的声音"})
    settings = Settings.model_validate(
        {**make_settings().model_dump(), "paths": {"data": str(folder)}, **more}
    )
    settings = settings.model_copy(
        update={"memory": settings.memory.model_copy(update={"recall_deadline_ms": 2000})}
    )
    casting, model = Casting(settings), ToolModel([])
    memory = PersonaMemory(
        settings.memory,
        settings.memory_dir,
        role_of=lambda owner: (casting.role(owner.device).name, casting.lore(owner.device)),
    )
    plain = make_parts(model, memory=memory, synthesizer=synthesizer)
    parts = dataclasses.replace(plain, casting=casting, choices=EmotionChoices(casting, settings))
    parts.closers.append(memory.aclose)
    if intents:
        parts.intents = await Intents.open(settings, casting)
        parts.closers.append(parts.intents.aclose)
    async with running(parts, settings) as rig:
        yield Stage(rig, model, casting, settings.memory_dir)


@contextlib.asynccontextmanager
async def with_voices(folder: Path, *, intents: bool = False) -> AsyncIterator[tuple[Stage, FakeSovits]]:
    async with FakeSovits() as server:
        voices = {
            "tts": {"engine": "gpt_sovits", "fallback": "none"},
            "gpt_sovits": {"servers": [server.url]},
        }
        voices["gpt_sovits"]["parameters"] = {"ref_audio_path": "/own.wav", "prompt_text": "我自己的。"}
        voices["gpt_sovits"] |= {"gpt_weights": "/base.ckpt", "sovits_weights": "/base.pth"}
        synthesizer = open_synthesizer(Settings.model_validate({**voices, "paths": {"data": str(folder)}}))
        async with (
            contextlib.aclosing(synthesizer),
            stage(folder, synthesizer, intents=intents, **voices) as one,
        ):
            yield one, server


async def test_a_switch_is_heard_in_the_new_voice_and_the_prompt_is_the_new_roles(tmp_path: Path) -> None:
    async with with_voices(tmp_path) as (one, server), one.device() as device:
        said = await one.say(device, "换成小梅", ["这就去叫她来。", role_call(role="小梅")])
        assert said == ["这就去叫她来。", "小梅来了。"]
        old, new = server.requests
        assert (old.body["ref_audio_path"], old.gpt) == ("/own.wav", "/base.ckpt")
        assert new.body["ref_audio_path"].endswith("mei/refs/中性/a.wav")
        assert (new.gpt, new.sovits) == (r"D:\w\mei.ckpt", r"D:\w\mei.pth")
        assert new.body["speed_factor"] == 1.2
        assert len(one.model.asked) == 1  # the old role writes nothing more
        await one.say(device, "你是谁")
        assert "小梅" in one.prompt and "爱说笑" in one.prompt and ROLE_TOOL in one.model.offered[-1]
        said = await one.say(device, "变回来", [role_call("back")])
        assert said == ["我是小智。"]
        assert (
            server.requests[-1].body["ref_audio_path"] == "/own.wav"
            and server.requests[-1].gpt == "/base.ckpt"
        )


async def test_what_is_said_switches_without_the_chat_model(tmp_path: Path) -> None:
    async with with_voices(tmp_path, intents=True) as (one, server), one.device() as device:
        assert await one.say(device, "换成小梅") == ["小梅来了。"]
        assert server.requests[-1].gpt == r"D:\w\mei.ckpt"
        await one.say(device, "说快一点")
        assert server.requests[-1].body["speed_factor"] == 1.38
        assert "小智" in "".join(await one.say(device, "变回来"))
        assert (server.requests[-1].gpt, server.requests[-1].body["speed_factor"]) == ("/base.ckpt", 1.15)
        told = "".join(await one.say(device, "你有哪些角色"))
        assert all(name in told for name in ("小智", "小雨", "小梅", "阿兰"))
        assert not one.model.asked
        await one.say(device, "你还会什么")
        assert ROLE_TOOL in one.model.offered[-1] and "小智" in one.prompt


async def test_two_devices_play_two_roles_and_a_restart_keeps_them(tmp_path: Path) -> None:
    async with stage(tmp_path) as one, one.device() as device, one.device(TWO) as other:
        await one.say(device, "换成小梅", [role_call(role="小梅")])
        await one.say(other, "你好")
        assert "小智" in one.prompt
        await one.say(device, "你好")
        assert "小梅" in one.prompt
    async with stage(tmp_path) as one, one.device() as device:
        await one.say(device, "你好")
        assert "小梅" in one.prompt


async def test_what_is_not_switched_is_put_in_the_models_words(tmp_path: Path) -> None:
    async with stage(tmp_path) as one, one.device() as device:
        for wrong, answer in (
            (role_call(role="小明"), "没有叫小明的角色，有："),
            (role_call(role="小智"), "现在就是小智"),
            (role_call("list"), "小梅"),
            (role_call(), "小梅"),
            (role_call("back"), "现在就是小智"),
        ):
            assert await one.say(device, "换", [wrong], ["这样啊。"]) == ["这样啊。"]
            assert answer in one.model.told[0]
        assert one.casting.role(ONE).id == "default"


async def test_of_two_switches_at_once_the_last_counts_and_speaks(tmp_path: Path) -> None:
    async with stage(tmp_path) as one, one.device() as device:
        calls = [role_call(role="小梅"), dataclasses.replace(role_call(role="阿兰"), id="b")]
        assert await one.say(device, "换来换去", calls) == ["在下阿兰。"]
        assert one.casting.role(ONE).id == "lan"


async def test_a_role_with_its_own_memory_and_the_others_know_nothing_of_each_other(tmp_path: Path) -> None:
    async with stage(tmp_path) as one, one.device() as device:
        await one.say(device, "我对花生过敏")
        await one.say(device, "换成阿兰", [role_call(role="阿兰")])
        await one.say(device, "我对什么过敏？")
        assert "花生" not in one.told
        await one.say(device, "我的猫叫豆豆")
        await one.say(device, "我的猫叫什么？")
        assert "豆豆" in one.told
        await one.say(device, "换成小梅", [role_call(role="小梅")])
        await one.say(device, "我的猫叫什么，我对什么过敏？")
        assert "花生" in one.told and "豆豆" not in one.told
        await one.say(device, "换成阿兰", [role_call(role="阿兰")])
        await one.say(device, "我的猫叫什么，我对什么过敏？")
        assert "花生" not in one.told.replace("我对什么过敏", "") and "豆豆" in one.told
    assert {one_.owner_id for one_ in stored_memories(one.memories)} == {ONE, f"{ONE}‖lan"}


def test_nobody_gets_at_a_roles_own_memory_by_calling_himself_so() -> None:
    owners = MemorySettings(owners={ONE: "小明"})
    own = Owner(ONE).as_role("lan")
    assert (owners.owner_of(own.id), own.device) == ("小明‖lan", ONE)
    assert owners.owner_of("小明‖lan") == "小明‖lan"  # so --owner names it
    assert "‖" not in normal_id(own.id) and normal_id(own.id) != own.id


async def test_a_switch_goes_on_when_its_turn_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(tmp_path) as one, one.device() as device:
        begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
        switched = one.casting.switch

        def slow(*args: Any) -> Any:
            begun.set()
            go_on.wait(10)
            try:
                return switched(*args)
            finally:
                done.set()

        monkeypatch.setattr(one.casting, "switch", slow)
        one.model.rounds = [["好。", role_call(role="小梅")]]
        device.type_text("换成小梅")
        await device.until(lambda: device.state == "speaking")
        await asyncio.to_thread(begun.wait, 10)
        device.abort()
        await device.until(lambda: device.state == "listening")
        go_on.set()
        await asyncio.to_thread(done.wait, 10)
        await one.say(device, "你是谁")
        assert "小梅" in one.prompt


class Watched(FakeSynthesizer):
    """Tells when it begins a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def synthesize(self, text: str, clip: Clip) -> Any:
        self.begun.set()
        async for chunk in super().synthesize(text, clip):
            yield chunk


async def test_a_sentence_is_never_spoken_by_two(tmp_path: Path) -> None:
    """Whoever switches the role in the middle of a reply: what is cut by then ends in the old voice."""
    write_role(tmp_path / "roles" / "mei", MEI, {"中性/a": "小梅的声音"})
    settings = Settings.model_validate({"paths": {"data": str(tmp_path)}})
    casting, synthesizer = Casting(settings), Watched()
    synthesizer.hold = asyncio.Event()
    pipeline = SpeechPipeline(synthesizer, EmotionChoices(casting, settings).of(ONE), timeout_s=5.0)
    async with contextlib.aclosing(pipeline):
        pipeline.feed("第一句话是旧的声音说的。第二句话也在等着旧的声音。好。嗯。第三句话")
        await synthesizer.begun.wait()
        casting.switch(ONE, "小梅")
        synthesizer.hold.set()
        pipeline.feed("开了头才换人。【高兴】第四句话早就换好了。")
        pipeline.finish()
        clips = {sentence.subtitle: sentence.clip async for sentence in pipeline}
    assert [text for text, clip in clips.items() if clip.voice.weights] == [
        "第三句话开了头才换人。",
        "第四句话早就换好了。",
    ]
    assert list(clips)[:2] == ["第一句话是旧的声音说的。", "第二句话也在等着旧的声音。"]
    assert all("第三句" not in text for text in clips if "嗯" in text)


@pytest.mark.parametrize("ends_part", [True, False], ids=["bridge", "host"])
async def test_what_was_whole_when_the_role_changed_is_said_by_the_old_one(
    tmp_path: Path, ends_part: bool
) -> None:
    """The end of a sentence is known for sure only by what follows, which here another role writes, with its own tags."""
    sheet = MEI + "emotions: {傲娇: {face: confident}}\nspeeds: {傲娇: 0.8}\n"
    write_role(tmp_path / "roles" / "mei", sheet, {"中性/a": "小梅的声音"})
    settings = Settings.model_validate({"paths": {"data": str(tmp_path)}})
    casting = Casting(settings)
    pipeline = SpeechPipeline(FakeSynthesizer(), EmotionChoices(casting, settings).of(ONE), timeout_s=5.0)
    async with contextlib.aclosing(pipeline):
        pipeline.feed("【悲伤】我这就去叫她来。")
        if ends_part:
            pipeline.end_part()
        casting.switch(ONE, "小梅")
        pipeline.feed("【傲娇】哼，我来了。")
        pipeline.feed("找我有什么事吗？")
        pipeline.finish()
        clips = {sentence.subtitle: sentence.clip async for sentence in pipeline}
    heard = [
        (text, clip.emotion, clip.face, clip.speed, bool(clip.voice.weights)) for text, clip in clips.items()
    ]
    assert heard == [
        ("我这就去叫她来。", "悲伤", "sad", 1.0, False),
        ("哼，我来了。", "傲娇", "confident", 0.8, True),
        ("找我有什么事吗？", "傲娇", "confident", 0.8, True),
    ]


async def test_the_pace_of_a_device_changes_its_next_sentence_and_only_its(tmp_path: Path) -> None:
    synthesizer = FakeSynthesizer()
    async with stage(tmp_path, synthesizer) as one, one.device() as device, one.device(TWO) as other:
        await one.say(device, "换成小梅", [role_call(role="小梅")])
        one.casting.set_pace(ONE, 1.45)
        await one.say(device, "你好", ["快的。"])
        await one.say(other, "你好", ["不快。"])
        speeds = {text: clip.speed for text, clip in synthesizer.asked}
        assert speeds["快的。"] == pytest.approx(1.2 * 1.45) and speeds["不快。"] == 1.0


async def test_who_only_says_that_he_is_a_device_does_not_switch_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        async with one.device() as device:
            await one.say(device, "你好")
        async with one.device(client_id="c1d20000-0000-0000-0000-000000000000") as other:
            await one.say(other, "换成小梅", [role_call(role="小梅")], ["好。"])
            assert ROLE_TOOL not in one.model.offered[-1]
        assert one.casting.role(ONE).id == "default"


def test_a_device_without_an_id_is_offered_no_role(tmp_path: Path) -> None:
    assert role_tools(Casting(Settings.model_validate({"paths": {"data": str(tmp_path)}})), "") == []
