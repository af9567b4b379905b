"""Owners' own intents: what a file can do, how a mistake in one is told, and that none can freeze anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from xiaozhi_persona.providers.intent.own_files import MAX_FILES, MAX_SENTENCES, filled
from xiaozhi_persona.providers.intent.router import Router

LIGHTS = """
intents:
  开灯:
    sentences: ["[把]{room}[的]灯(打开|开一下)", "(打开|开){room}[的]灯"]
    do: {tool: light_on, arguments: {room: "{room}", level: 100}}
    say: "好，{room}的灯开了。"
  空调:
    sentences: ["空调[调到|开到]{temp}"]
    do: {http: {url: "http://127.0.0.1:1/air", body: {to: "{temp}"}}}
  记账:
    sentences: ["记账{what}"]
    do: {memory: "记住{what}"}
  volume_up:
    sentences: ["嗨起来"]
lists:
  room: {living: [客厅, 大厅], bed: [卧室]}
  temp: {from: 16, to: 30}
  what: any
"""


def router(tmp_path: Path, **files: str) -> tuple[Router, list[str]]:
    """Return a router with the owner's files, and what is wrong in them, without the folder."""
    folder = tmp_path / "intents"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    made = Router(folder)
    return made, [problem.replace(f"{folder}{os.sep}", "") for problem in made.refresh()]


def test_an_owner_adds_intents_and_sentences(tmp_path: Path) -> None:
    made, problems = router(tmp_path, lights=LIGHTS)
    assert not problems
    found = {
        text: made.route(text)
        for text in ("请打开大厅的灯", "空调调到二十八度五", "记账，午饭三十元", "嗨起来吧", "空调31度", "打开厨房的灯", "空调")
    }  # fmt: skip
    slots = {text: (match.intent, dict(match.slots)) for text, match in found.items() if match}
    assert slots == {
        "请打开大厅的灯": ("开灯", {"room": "living"}),
        "空调调到二十八度五": ("空调", {"temp": 28.5}),
        "记账，午饭三十元": ("记账", {"what": "午饭三十元"}),
        "嗨起来吧": ("volume_up", {}),
    }
    light = found["请打开大厅的灯"]
    assert light and light.template and light.template.line == 4
    own = light.template.action
    assert own.do.arguments == {"room": "{room}", "level": 100}
    assert filled(own.say, light.slots) == "好，living的灯开了。"


@pytest.mark.parametrize(
    ("text", "value"),
    [("{temp}", 28.5), ("{temp}度", "28.5度"), ("{none}", ""), ("a{none}b", "ab"), (True, True), ("{ temp }", "{ temp }")],
)  # fmt: skip
def test_slots_are_put_into_what_is_done(text: str | bool, value: object) -> None:
    assert filled(text, {"temp": 28.5}) == value


def test_an_owners_sentence_comes_before_ours(tmp_path: Path) -> None:
    made, _ = router(tmp_path, a="intents: {我的: {sentences: [再见], say: 慢走}}")
    match = made.route("再见")
    assert match and match.intent == "我的"


def one(more: str, intent: str = "a") -> str:
    return f"intents:\n  {intent}:\n    say: 好\n    {more}\n"


WRONG = {
    "off": (one("sentences: [关灯吧]", "Off"), "第 2 行：键 Off 在 YAML 里不是文字"),
    "number": (one("sentences: [关灯吧]", "12"), "第 2 行：键 12 在 YAML 里不是文字"),
    "bracket": (one('sentences: ["关(灯|窗"]'), "第 4 行：少了一个 )"),
    "closing": (one('sentences: ["关灯]"]'), "第 4 行：多了一个 ]"),
    "regex": (one('sentences: ["(关|开)*灯"]'), "第 4 行：)* 不是这里的写法"),
    "slot": (one('sentences:\n      - 关灯吧\n      - "关{roon}灯"'), "第 6 行：没有名叫 {roon} 的槽"),
    "rule": (one('sentences: ["关<x>灯"]'), "第 4 行：没有名叫 <x> 的规则"),
    "name": (one('sentences: ["关{a b}灯"]'), "第 4 行：名字 'a b' 不行"),
    "open": (one('sentences: ["{song}"]'), "第 4 行：这句话会太容易对上"),
    "optional": (one('sentences: ["[关灯]{song}"]'), "第 4 行：这句话会太容易对上"),
    "nothing": ("intents:\n  a:\n    sentences: [关灯吧]\n", "第 2 行：没有写做什么"),
    "two": (one("sentences: [关灯吧]\n    do: {tool: a, role: b}"), "只写一个"),
    "memory": (one("sentences: [关灯吧]\n    do: {memory: 天气不错}"), "memory 写一句记忆听得懂的话"),
    "url": (one("sentences: [关灯吧]\n    do: {http: {url: 'file:///etc/passwd'}}"), "应为：http:// 或 https:// 开头的网址"),
    "lacking": ("intents:\n  a:\n    sentences: [关灯吧]\n    say: 好{room}\n", "第 2 行：do 或 say 里的 {room} 在句子里没有"),
    "spelled": ("intents:\n  a:\n    sentence: [关灯吧]\n", "第 3 行：没有 intents.a.sentence 这一项"),
    "twice": (one("sentences: [关灯吧]") + "  a:\n    say: 好\n", "在第 2 行已经写过"),
    "alias": ("intents:\n  a: &a\n    sentences: [关灯吧]\n    say: 好\n  b: *a\n", "第 2 行：这里不用 & 和 *"),
    "list": ("- 关灯\n", "最外层应是“键: 值”"),
    "colon": ("intents：\n  a:\n", "全角"),
    "empty": ("", "少了 intents"),
    "words": (one("sentences: [关灯吧]") + "lists: {room: [1, 2]}\n", "每个词是 1 到 40 个字的文字"),
    "range": (one("sentences: [关灯吧]") + "lists: {t: {from: 9, to: 3}}\n", "from 小于 to"),
    "deep": (one(f'sentences: ["{"[" * 20}a{"]" * 20}关灯"]'), "第 4 行：括号套得太深"),
    "long": (one(f"sentences: [{'关' * 301}]"), "第 4 行：intents.a.sentences.0"),
    "huge": ("#" * 70_000, "太大：最多 64 KB"),
    "nested": ("intents: " + "[" * 20_000, "一层套一层"),
    "bomb": (
        "rules:\n  a: " + "(关|开)" * 40 + "\n" + "".join(f'  {chr(98 + n)}: "{f"<{chr(97 + n)}>" * 40}"\n' for n in range(6))
        + one('sentences: ["<g>关灯"]'), "第 3 行：句子展开后太长"),
    "many": (one("sentences: [" + "关灯吧, " * 150 + "]") + one("sentences: [" + "开灯吧, " * 150 + "]", "b").partition("\n")[2],
             f"句子太多：一个文件最多 {MAX_SENTENCES} 句"),
    "binary": ("\x00\x01", "不是有效的 YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place_and_the_others_work(name: str, tmp_path: Path) -> None:
    text, told = WRONG[name]
    began = time.thread_time()
    made, problems = router(tmp_path, lights=LIGHTS, wrong=text)
    assert time.thread_time() - began < 10
    assert len(problems) == 1 and problems[0].startswith("wrong.yaml") and told in problems[0]
    match = made.route("打开客厅的灯")
    assert match and match.intent == "开灯"


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    made, _ = router(tmp_path, a="intents: {我的: {sentences: [开门吧], say: 好}}")
    file = tmp_path / "intents" / "a.yaml"
    assert made.route("开门吧")
    file.write_text("intents: {我的: {sentences: [开窗户吧], say: 好}}", encoding="utf-8")
    assert made.route("开门吧") and not made.refresh()
    assert made.route("开窗户吧") and not made.route("开门吧")
    file.write_text("intents:", encoding="utf-8")
    assert len(made.refresh()) == len(made.refresh()) == 1
    assert not made.route("开窗户吧")
    file.unlink()
    assert not made.refresh()


def test_there_may_be_no_folder_and_not_too_many_files(tmp_path: Path) -> None:
    assert Router(tmp_path / "none").refresh() == []
    files = {
        f"f{n:02}": f"intents: {{i{n}: {{sentences: [去第{n}层楼], say: 好}}}}" for n in range(MAX_FILES + 2)
    }
    made, problems = router(tmp_path, **files)
    assert len(problems) == 1 and "文件太多" in problems[0]
    assert made.route("去第1层楼") and not made.route(f"去第{MAX_FILES + 1}层楼")


def test_no_file_can_freeze_anything(tmp_path: Path) -> None:
    """Sentences that could be read in very many ways."""
    hostile = [
        "[关]" * 90 + "关灯",
        "{x}{x}{x}{x}关灯",
        "[{x}]" * 40 + "关灯",
        "(关|关关|[关])" * 20 + "关灯",
        "{number}" * 20 + "关灯",
    ]
    text = (
        "intents:\n"
        + "".join(f'  a{n}: {{say: 好, sentences: ["{hostile[n % 5]}"]}}\n' for n in range(60))
        + "lists: {x: any}\n"
    )
    made, problems = router(tmp_path, hostile=text)
    assert not problems
    for said in ("关" * 99 + "灯", "关" * 40, "1" * 60 + "关灯"):
        began = time.thread_time()
        made.route(said)
        assert time.thread_time() - began < 2
