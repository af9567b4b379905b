"""`xiaozhi-persona intent`: a sentence, many sentences, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.errors import SettingsError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()
    return tmp_path


def run(*arguments: str, said: str | None = None) -> Result:
    return CliRunner().invoke(
        xiaozhi_persona, ["intent", *arguments], input=said, standalone_mode=False, env={"XZP_LANGUAGE": "zh"}
    )


def test_a_sentence() -> None:
    assert run("把音量调到三十").stdout.startswith("volume_set level=30（")
    assert run("今天天气怎么样").stdout.startswith("没有意图，交给模型（")
    answer = json.loads(run("换成小雨", "--json").stdout)
    assert (answer["intent"], answer["slots"]) == ("role_switch", {"role": "小雨"}) and answer["us"] > 0


def test_a_role_may_be_named_by_its_id_as_at_the_device() -> None:
    assert run("switch to xiaoyu").stdout.startswith("role_switch role=xiaoyu（")


def test_many_sentences_from_a_file_or_a_pipe(folder: Path) -> None:
    lines = '{"id": "x", "text": "停"}\n\n几点了？\n{"text": "你好"}\n{"id": 9, "text": "切换到露娜"}\n'
    (folder / "said.jsonl").write_text(lines, encoding="utf-8")
    for result in (
        run("--jsonl", "said.jsonl", "--role", "露娜"),
        run("--jsonl", "--role", "露娜", said=lines),
    ):
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert [set(answer) for answer in answers] == [{"id", "intent", "slots", "us"}] * 4
        assert [(answer["id"], answer["intent"]) for answer in answers] == [
            ("x", "stop"), (3, "time"), (4, None), (9, "role_switch"),
        ]  # fmt: skip


def test_why() -> None:
    found = run("声音大一点", "--why").stdout.splitlines()[1]
    assert "<vol>" in found and "zh.yaml:" in found
    assert "记忆" in run("记住我姓王", "--why").stdout
    near = run("麻烦你把屏幕的亮度调亮那么一点", "--why").stdout
    assert "剩下：" in near and "brightness_up" in near
    answer = json.loads(run("唤一首歌吧", "--why", "--json").stdout)
    assert answer["intent"] is None
    assert answer["near"][0]["changes"] == 1 and {"intent", "sentence", "at"} <= set(answer["near"][0])


def test_own_files_count_and_their_mistakes_are_told(folder: Path) -> None:
    own = folder / "data" / "intents"
    own.mkdir(parents=True)
    (own / "lights.yaml").write_text('intents: {开灯: {sentences: ["开灯吧"], say: 好}}', encoding="utf-8")
    (own / "wrong.yaml").write_text("intents: {Off: {sentences: [关灯吧], say: 好}}", encoding="utf-8")
    result = run("开灯吧", "--why")
    assert result.stdout.startswith("开灯") and "lights.yaml:1" in result.stdout
    assert "Off" in result.stderr and "关灯" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [((), None), (("--jsonl",), '{"text"'), (("--jsonl",), '{"id": 1}'), (("--jsonl", "none.jsonl"), None)]
)  # fmt: skip
def test_wrong_use_is_told(arguments: tuple[str, ...], said: str | None) -> None:
    assert isinstance(run(*arguments, said=said).exception, SettingsError)
