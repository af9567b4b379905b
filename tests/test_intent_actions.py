"""What each intent does at the device, and what is answered: done, not done, never a claimed success."""

from __future__ import annotations

import itertools
import json
import string
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.scene import NOON, ROUTER, Device, FakeScene

from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable
from xiaozhi_persona.providers.intent.actions import wording
from xiaozhi_persona.providers.intent.actions.carry_out import ACTIONS
from xiaozhi_persona.providers.intent.actions.times import clock_said, length_said, moment_said
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import MAX_PACE, Casting
from xiaozhi_persona.settings import PathSettings, Settings

LANGUAGES = wording.LANGUAGES


def is_one_of(text: str | None, name: str, language: str = "zh", /, **values: Any) -> bool:
    return text in [way.format(**values) for way in wording.answers(language)[name]]


def test_every_intent_of_the_project_has_an_action() -> None:
    intents = {template.intent for template in ROUTER.templates()}
    assert intents == set(ACTIONS)


def test_every_language_has_the_same_answers_with_the_same_values() -> None:
    def fields(language: str, name: str) -> set[str]:
        ways = wording.answers(language)[name]
        return {field for way in ways for _, field, *_ in string.Formatter().parse(way) if field}

    names = {language: set(wording.answers(language)) for language in LANGUAGES}
    assert names["zh"] == names["en"] == names["ja"]
    for name, (one, other) in itertools.product(names["zh"], itertools.combinations(LANGUAGES, 2)):
        assert fields(one, name) == fields(other, name), name


@pytest.mark.parametrize(
    ("said", "before", "after", "answer"),
    [
        ("声音大一点", 50, 60, "60"), ("太吵了，小点声", 50, 40, "40"), ("声音大一点", 95, 100, "100"), ("声音小一点", 4, 0, "0"),
        ("音量调到三十", 50, 30, "30"), ("音量调到一半", 80, 50, "50"), ("声音开到最大", 10, 100, "100"), ("音量加二十", 50, 70, "70"),
        ("turn the volume up", 50, 60, "60"), ("set the volume to thirty percent", 50, 30, "30"), ("音量を上げて", 50, 60, "60"),
    ],
)  # fmt: skip
async def test_volume(said: str, before: int, after: int, answer: str) -> None:
    device = Device()
    device.volume = before
    told = await FakeScene(device.tools()).say(said)
    assert device.volume == after
    assert told and answer in told


async def test_volume_at_its_end_is_told_and_not_set() -> None:
    device = Device()
    device.volume = 100
    scene = FakeScene(device.tools())
    assert is_one_of(await scene.say("声音大一点"), "volume_most")
    assert scene.set == []
    device.volume = 0
    assert is_one_of(await scene.say("turn the volume down"), "volume_least", "en")


async def test_mute_says_nothing_and_unmute_brings_back_what_was() -> None:
    device = Device()
    device.volume = 35
    scene = FakeScene(device.tools())
    assert await scene.say("静音") == "" and device.volume == 0
    assert await scene.say("静音") == "" and device.volume == 0
    told = await scene.say("取消静音")
    assert device.volume == 35 and told and "35" in told
    device.volume = 0
    scene.kept.clear()
    await scene.say("取消静音")
    assert device.volume == 50


async def test_a_device_that_tells_its_volume_by_a_tool_of_its_own() -> None:
    for answer in ("40", json.dumps({"volume": 40, "muted": False})):
        scene = FakeScene({"self.audio_speaker.get_volume": answer, "self.audio_speaker.set_volume": "true"})
        await scene.say("声音大一点")
        assert scene.set == [50]


async def test_names_of_the_host_with_underscores_are_the_same_tools() -> None:
    scene = FakeScene({"self_get_device_status": Device().status(), "self_audio_speaker_set_volume": "true"})
    await scene.say("声音大一点")
    assert scene.calls[-1] == ("self_audio_speaker_set_volume", {"volume": 60})


async def test_a_volume_that_nobody_knows_is_asked_for_and_known_from_then_on() -> None:
    scene = FakeScene({"self.audio_speaker.set_volume": "true"})
    assert is_one_of(await scene.say("声音大一点"), "volume_unknown")
    await scene.say("音量调到三十")
    await scene.say("声音大一点")
    assert scene.set == [30, 40]


async def test_brightness_theme_and_battery() -> None:
    device = Device()
    scene = FakeScene(device.tools())
    await scene.say("屏幕亮一点")
    assert device.brightness == 80
    await scene.say("亮度调到二十")
    assert device.brightness == 20
    assert is_one_of(await scene.say("现在屏幕亮度是多少"), "brightness_is", level=20)
    await scene.say("切换到深色主题")
    assert device.theme == "dark"
    assert is_one_of(await scene.say("还有多少电"), "battery", level=80)
    device.battery = {"level": 30, "charging": True}
    assert is_one_of(await scene.say("how much battery is left"), "battery_charging", "en", level=30)


async def test_a_backlight_that_counts_to_255() -> None:
    scene = FakeScene({"self.disp.setbacklight": "true"})
    await scene.say("亮度调到百分之五十")
    await scene.say("屏幕暗一点")
    assert [arguments for _, arguments in scene.calls] == [{"level": 128}, {"level": 102}]


ASKED = ["声音大一点", "音量调到三十", "静音", "亮度调到二十", "切换到深色主题", "还有多少电", "放首歌", "暂停音乐", "拍张照"]  # fmt: skip


@pytest.mark.parametrize("said", ASKED)
async def test_what_a_device_has_no_tool_for_is_told(said: str) -> None:
    scene = FakeScene({"self.lamp.turn_on": "true", "take_screenshot": "true"})
    assert is_one_of(await scene.say(said), "cannot")
    assert not scene.calls


@pytest.mark.parametrize(
    ("said", "tool"),
    [
        ("声音大一点", "hass_media_volume"), ("亮度调到二十", "my_screen_light"), ("亮度调到二十", "set_brightness"), ("亮度调到二十", "set_screen"), ("放首歌", "hass_play_media"),
        ("放首歌", "music_player.search_and_play"), ("拍张照", "self.camera.snap"), ("十分钟后叫我", "self.alarm.set"), ("取消闹钟", "self.alarm.set"),
    ],
)  # fmt: skip
async def test_what_a_tool_of_another_name_may_do_is_the_chat_models(said: str, tool: str) -> None:
    scene = FakeScene({tool: "true"})
    assert await scene.say(said) is None
    assert not scene.calls


@pytest.mark.parametrize(
    "answer", ["false", '{"success": false, "message": "x"}', ServiceUnavailable("断了")]
)
async def test_a_tool_that_fails_is_told(answer: Any) -> None:
    tools = {**Device().tools(), "self.audio_speaker.set_volume": answer}
    for said, language in (("音量调到三十", "zh"), ("set the volume to 30", "en"), ("音量を30にして", "ja")):
        assert is_one_of(await FakeScene(tools).say(said), "failed", language)


async def test_of_a_tool_that_does_not_answer_nobody_knows_whether_it_worked() -> None:
    tools = {**Device().tools(), "self.audio_speaker.set_volume": ServiceTimeout("10 秒没有回答")}
    assert is_one_of(await FakeScene(tools).say("音量调到三十"), "no_answer")


@pytest.mark.parametrize(
    "status", ["", "[]", "{", '{"audio_speaker": 3}', '{"audio_speaker": {"volume": "loud"}}', "[" * 5000]
)
async def test_a_status_that_is_none_is_none(status: str) -> None:
    tools = {**Device().tools(), "self.get_device_status": status}
    assert is_one_of(await FakeScene(tools).say("声音大一点"), "volume_unknown")


async def test_stop_pauses_the_music_and_says_nothing_even_where_that_fails() -> None:
    scene = FakeScene({"music_player.pause": ServiceUnavailable("没有在放")})
    assert await scene.say("停") == ""
    assert scene.calls == [("music_player.pause", {})]
    assert await FakeScene().say("别说了") == ""


async def test_exit_says_goodbye_and_ends_the_connection() -> None:
    for said, language in (("退下吧", "zh"), ("goodbye", "en"), ("またね", "ja")):
        done = await FakeScene().hear(said)
        assert done and done.ends_connection and is_one_of(done.say, "goodbye", language)


async def test_time_date_name_and_again() -> None:
    scene = FakeScene(at=NOON.replace(hour=15, minute=20))
    assert is_one_of(await scene.say("现在几点了"), "time", time="下午3点20分")
    assert is_one_of(await scene.say("what time is it"), "time", "en", time="3:20 PM")
    assert is_one_of(await scene.say("今天星期几"), "date", date="11月30日，星期一")
    assert is_one_of(await scene.say("你是谁"), "who", name=scene.casting.role().name)
    assert is_one_of(await scene.say("再说一遍"), "nothing_said")
    scene.last_said = "天空是蓝的。"
    assert await scene.say("再说一遍") == "天空是蓝的。"


@pytest.fixture
def casting(tmp_path: Path) -> Casting:
    return Casting(Settings(paths=PathSettings(data=str(tmp_path))))


async def test_roles_and_their_pace(casting: Casting) -> None:
    scene = FakeScene(casting=casting)
    first = casting.role(scene.device_id).id
    listed = await scene.say("有哪些角色可以换")
    assert listed and "小雨" in listed
    await scene.say("换成小雨")
    assert casting.role(scene.device_id).name == "小雨"
    assert casting.role("another").id == first
    await scene.say("变回来")
    assert casting.role(scene.device_id).id == first
    assert is_one_of(await scene.say("说快一点"), "faster")
    assert casting.pace(scene.device_id) == 1.15
    for _ in range(5):
        told = await scene.say("说快一点")
    assert casting.pace(scene.device_id) == MAX_PACE and is_one_of(told, "faster_most")
    await scene.say("恢复正常语速")
    assert casting.pace(scene.device_id) == 1.0


async def test_a_voice_that_takes_no_pace_is_told(tmp_path: Path) -> None:
    casting = Casting(Settings(paths=PathSettings(data=str(tmp_path))), takes_pace=False)
    assert is_one_of(await FakeScene(casting=casting).say("说慢一点"), "no_pace")


async def test_music() -> None:
    tools = {f"music_player.{name}": "已办" for name in ("search_and_play", "pause", "resume")}
    scene = FakeScene(tools)
    assert is_one_of(await scene.say("播放《稻香》"), "playing", song="稻香")
    assert scene.calls == [("music_player.search_and_play", {"song_name": "稻香"})]
    assert is_one_of(await scene.say("暂停音乐"), "music_paused")
    assert await scene.say("下一首") is None  # it has no tool for that, but others for music
    failing = FakeScene({"music_player.search_and_play": "未找到歌曲: 稻香"})
    assert await failing.say("播放《稻香》") == "未找到歌曲: 稻香"
    host = FakeScene({"play_music": "指令已接收"})
    assert await host.say("放首歌") == "" and host.set == ["random"]


async def test_a_photo_is_described_by_what_the_camera_answers() -> None:
    for answer, told in (
        ('{"success": true, "response": "一只猫。"}', "一只猫。"),
        ("一只猫。", "一只猫。"),
        ('{"success": true, "message": "这是什么", "vision_analysis": {"response": "一只猫。"}}', "一只猫。"),
        ('{"success": true}', None),
    ):
        scene = FakeScene({"self.camera.take_photo": answer})
        said = await scene.say("拍张照")
        assert said == told if told else is_one_of(said, "photo_taken")
    assert is_one_of(await FakeScene({"take_photo": '{"success": false}'}).say("拍张照"), "failed")


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def alarms(tmp_path: Path) -> Any:
    clock = Clock()
    scheduler = Scheduler(tmp_path, clock)
    yield FakeScene(scheduler=scheduler), clock, scheduler
    scheduler.close()


async def test_timers_and_alarms_are_set_told_and_cancelled(alarms: Any) -> None:
    scene, clock, scheduler = alarms
    assert is_one_of(await scene.say("取消闹钟"), "no_alarm_set")
    told = await scene.say("十分钟后提醒我喝水")
    assert "10分钟后提醒你喝水" in told and "连" in told  # it says how it rings
    assert "明天早上7点" in await scene.say("明天早上七点叫我起床")
    await scene.say("定一个三分钟的倒计时")
    assert [entry.kind for entry in scheduler.pending("小明")].count("timer") == 2
    clock.at = scene.at = NOON + timedelta(minutes=1)
    told = await scene.say("倒计时还有多久")
    assert "2分钟" in told and "9分钟" in told and "闹钟" not in told
    told = await scene.say("取消倒计时")
    assert "2个" in told and len(scheduler.pending("小明")) == 3  # which one is asked
    told = await scene.say("把刚才那个十分钟的计时器取消掉")
    assert "喝水" in told and len(scheduler.pending("小明")) == 2
    await scene.say("取消所有闹钟")
    assert [entry.kind for entry in scheduler.pending("小明")] == ["timer"]
    assert "2分钟" in await scene.say("取消闹钟")  # many say so for a timer
    assert scheduler.pending("小明") == []


async def test_alarms_of_a_time_are_told_from_others(alarms: Any) -> None:
    scene, _, scheduler = alarms
    await scene.say("明天早上七点叫我起床")
    await scene.say("明天早上八点叫我")
    told = await scene.say("取消明天九点的闹钟")
    assert "没有这一个" in told and len(scheduler.pending("小明")) == 2
    await scene.say("取消明天八点的闹钟")
    assert [entry.due.hour for entry in scheduler.pending("小明")] == [7]
    assert is_one_of(await scene.say("今天早上七点叫我"), "alarm_over")


async def test_of_timers_that_are_alike_the_one_set_last_is_cancelled(alarms: Any) -> None:
    scene, clock, scheduler = alarms
    for label in ("喝水", "关火"):
        await scene.say(f"十分钟后提醒我{label}")
        clock.at = scene.at = clock.at + timedelta(minutes=1)
    assert "关火" in await scene.say("把刚才那个十分钟的计时器取消掉")
    await scene.say("定一个三分钟的倒计时")
    told = await scene.say("取消倒计时")
    assert "2个" in told and len(scheduler.pending("小明")) == 2
    assert "3分钟" in await scene.say("取消刚才那个倒计时")
    assert [entry.label for entry in scheduler.pending("小明")] == ["喝水"]


async def test_a_device_without_an_id_has_no_alarms(alarms: Any) -> None:
    scene, _, _ = alarms
    scene.device_id = ""
    assert is_one_of(await scene.say("十分钟后叫我"), "no_alarms")
    assert is_one_of(await FakeScene().say("set a timer for 10 minutes"), "no_alarms", "en")


def test_times_as_they_are_said() -> None:
    morning = NOON.replace(hour=0, minute=5)
    assert [clock_said(morning, language) for language in LANGUAGES] == ["凌晨0点5分", "12:05 AM", "0時5分"]
    assert clock_said(NOON, "zh") == "中午12点" and clock_said(NOON, "en") == "12:00 PM"
    lengths = [timedelta(seconds=seconds) for seconds in (0, 1, 90, 3600, 5430)]
    assert [length_said(length, "zh") for length in lengths] == [
        "0秒",
        "1秒",
        "1分30秒",
        "1小时",
        "1小时30分钟",
    ]
    assert length_said(lengths[2], "en") == "1 minute 30 seconds"
    tomorrow = NOON + timedelta(hours=19)
    told = [moment_said(tomorrow, NOON, language, {}) for language in LANGUAGES]
    assert told == ["明天早上7点", "tomorrow at 7:00 AM", "明日の7時"]
    assert moment_said(tomorrow, NOON, "zh", {"repeat": "daily"}) == "每天早上7点"
    assert moment_said(tomorrow, NOON, "en", {"repeat": "weekly"}) == "every Tuesday at 7:00 AM"
