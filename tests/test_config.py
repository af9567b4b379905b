"""config.yaml: its text, what it loads to, what wins over it, and what people are told about mistakes in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from xiaozhi_persona.config import load_settings, render
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.yaml_files import parse_mapping

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def load(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


def complaint(file: Path | None, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ or {})
    assert caught.value.exit_code == 2
    return str(caught.value)


# The file and the code agree.


def test_the_file_at_the_root_is_what_the_code_renders() -> None:
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == render()


def test_the_file_at_the_root_loads_to_the_defaults() -> None:
    assert load_settings(ROOT / "config.yaml", {}).model_dump() == Settings().model_dump()


def test_every_setting_is_written_with_a_comment_of_its_own() -> None:
    lines = render().splitlines()
    for section, values in Settings().model_dump().items():
        for key in values if isinstance(getattr(Settings(), section), BaseModel) else [section]:
            above = [before for before, line in zip(lines, lines[1:], strict=False) if key + ":" in line]
            assert above and all(line.lstrip().startswith("# ") for line in above), key


def test_every_default_obeys_its_own_rules() -> None:
    Settings.model_validate(Settings().model_dump())


@pytest.mark.parametrize(
    "text", ["", "# nothing but a comment\n", "---\n", "bridge:\n", "\ufeffrole: default\n"]
)
def test_a_file_that_says_nothing_gives_the_defaults(file: Path, text: str) -> None:
    assert load(file, text).model_dump() == Settings().model_dump()


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).model_dump() == Settings().model_dump()


def test_the_file_of_the_current_folder_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("bridge: {http_port: 9003}", encoding="utf-8")
    monkeypatch.chdir(file.parent)
    assert load_settings(None, {}).bridge.http_port == 9003


def test_relative_paths_start_at_the_folder_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(file, "paths: {data: store}")
    monkeypatch.chdir("/")
    assert settings.data_dir == file.parent / "store"
    assert settings.path("/elsewhere") == Path("/elsewhere")
    assert settings.path("~/models") == Path.home() / "models"


def test_a_whole_number_is_a_number(file: Path) -> None:
    assert load(file, "session: {idle_s: 60}").session.idle_s == 60.0


# Mistakes: the message names the file, the key and what is allowed.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rolle: default", ["没有 rolle 这一项，是不是 role？", "role、role_of_device、paths"]),
        ("bridge: {http_prot: 1}", ["没有 bridge.http_prot 这一项，是不是 http_port？"]),
        ("on: 1", ["这里可用的有：role"]),
        ("base_url: http://x", ["没有 base_url 这一项，是不是 openai_speech、xtts、llm 里的 base_url？"]),
        ("bridge: 5", ["bridge 的值 5", "“键: 值”"]),
        ("bridge: {http_port: x}", ["bridge.http_port 的值 'x'", "整数，1 到 65535"]),
        ("bridge: {http_port: '8003'}", ["bridge.http_port 的值 '8003'", "整数"]),
        ("bridge: {http_port: true}", ["bridge.http_port 的值 True", "整数"]),
        ("bridge: {http_port: 8003.5}", ["bridge.http_port", "整数"]),
        ("bridge: {http_port: 70000}", ["bridge.http_port 的值 70000", "1 到 65535"]),
        ("session: {idle_s: 500}", ["session.idle_s 的值 500", "5.0 到 115.0 秒"]),
        ("session: {idle_s: .nan}", ["session.idle_s", "5.0 到 115.0 秒"]),
        ("session: {wake_words: 小智}", ["session.wake_words 的值 '小智'", "列表"]),
        ("session: {wake_words: [1]}", ["session.wake_words.0 的值 1", "文字"]),
        ("log: {level: loud}", ["log.level 的值 'loud'", "debug、info、warning、error"]),
        ("bridge: {binary_version: 4}", ["bridge.binary_version 的值 4", "可选 1、2、3"]),
        ("bridge: {binary_version: true}", ["bridge.binary_version 的值 True", "可选 1、2、3"]),
        ("gpt_sovits: {streaming_mode: false}", ["gpt_sovits.streaming_mode 的值 False", "可选 0、1"]),
        ("llm: {api_key: 123}", ["llm.api_key 的值 123", "文字（给数字加上引号）"]),
        ("llm: {api_key: }", ["llm.api_key 的后面是空的", "删去"]),
        ("llm: {base_url: ftp://x}", ["llm.base_url", "https://"]),
        ("llm: {extra_body: [1]}", ["llm.extra_body 的值 [1]", "“键: 值”"]),
        ("paths: {data: ''}", ["paths.data", "不能留空"]),
        ("- a", ["最外层应是“键: 值”", "list"]),
        ("just words", ["最外层应是“键: 值”", "str"]),
        ("# 我的\nrole：xiaoyu", ["第 2 行 role：xiaoyu 里的冒号是全角的", "role: xiaoyu"]),
        ("role:xiaoyu", ["第 1 行", "后面少了空格", "role: xiaoyu"]),
        ("bridge:\n  host: x\nrole：xiaoyu\n", ["第 3 行 role：xiaoyu", "全角", "role: xiaoyu"]),
        ("bridge:\n  host: x\nrole:xiaoyu\nlog:\n  level: info", ["第 3 行 role:xiaoyu", "少了空格"]),
        ("role：xiaoyu\nbridge:\n  host: x", ["第 1 行 role：xiaoyu", "全角"]),
        ("llm:\n  base_url：http://x/v1", ["llm", "冒号是全角的", "base_url: http://x/v1"]),
        ("llm:\n  model:small", ["llm", "后面少了空格", "model: small"]),
        ("bridge: [x", ["第 1 行", "不是有效的 YAML", "检查缩进"]),
        ("bridge:\n\thost: x", ["第 2 行第 1 列", "不是有效的 YAML"]),
        ("role: a\0b", ["不是有效的 YAML"]),
        ("asr:\n  workers: 1\nrole: a\nasr:\n  workers: 2", ["第 4 行的 asr 在第 1 行已经写过", "合成一处"]),
        ("asr:\n  workers: 1\n  workers: 2", ["第 3 行的 workers 在第 2 行"]),
        ("memory: {owners: {dir: 5}}", ["memory.owners.dir 的值 5", "文字"]),
        ("a: &a [*a]", ["一层套一层", "不能指向自己"]),
        ("llm: {extra_body: &b {again: *b}}", ["一层套一层", "不能指向自己"]),
        ("role: 2024-02-30", ["有一个值不行", "日期要是有的日子"]),
        ("llm: {extra_body: " + "[" * 5000, ["一层套一层", "检查括号"]),
        ("role: !!python/name:os.system", ["不是有效的 YAML"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(
    file: Path, text: str, told: list[str]
) -> None:
    file.write_text(text, encoding="utf-8")
    message = complaint(file)
    assert message.startswith(str(file))
    for part in told:
        assert part in message


def test_several_mistakes_are_told_at_once(file: Path) -> None:
    file.write_text("bridge: {http_port: 0}\nlog: {level: loud}", encoding="utf-8")
    first, second = complaint(file).splitlines()
    assert "bridge.http_port" in first + second and "log.level" in first + second


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8-sig"])
def test_the_encoding_is_told_by_the_bytes(file: Path, encoding: str) -> None:
    file.write_bytes("role: 小语".encode(encoding))
    assert load_settings(file, {}).role == "小语"


def test_another_encoding_is_refused_with_the_one_to_use(file: Path) -> None:
    file.write_bytes("role: 繁體的設定檔案".encode("big5"))
    message = complaint(file)
    assert str(file) in message and "UTF-8" in message


def test_a_missing_file_names_the_command_that_writes_one(file: Path) -> None:
    message = complaint(file)
    assert str(file) in message and "xiaozhi-persona init" in message


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    assert "请检查路径" in complaint(tmp_path)


def test_one_value_may_be_used_twice_and_costs_nothing(file: Path) -> None:
    doubled = "\n".join(f"  l{i + 1}: &l{i + 1} [*l{i}, *l{i}]" for i in range(40))
    file.write_text(f"role: default\nextra:\n  l0: &l0 [a]\n{doubled}", encoding="utf-8")
    data = parse_mapping(file.read_text(encoding="utf-8"), file)
    assert data["extra"]["l1"] == [["a"], ["a"]]


# The environment wins over the file.


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("XZP_BRIDGE__HTTP_PORT", "9003", 9003),
        ("XZP_SESSION__IDLE_S", "60", 60.0),
        ("XZP_PATHS__DATA", "/srv/xiaozhi", "/srv/xiaozhi"),
        ("XZP_ROLE", "true", "true"),
        ("XZP_LLM__API_KEY", "0123", "0123"),
        ("XZP_LLM__MODEL", "a: b", "a: b"),
        ("XZP_SESSION__WAKE_WORDS", "[小智, 小明]", ["小智", "小明"]),
        ("XZP_LLM__EXTRA_BODY", "{temperature: 0.7}", {"temperature": 0.7}),
        ("XZP_LLM__EXTRA_BODY__TOP_K", "15", {"top_k": 15}),
        ("xzp_bridge__http_port", "9003", 9003),
    ],
)
def test_a_variable_overrides_its_key(file: Path, variable: str, text: str, value: Any) -> None:
    settings: Any = load(file, "bridge: {http_port: 7003, token: kept}", **{variable: text})
    keys = variable[4:].lower().split("__")[:2]
    for key in keys:
        settings = getattr(settings, key)
    assert settings == value and type(settings) is type(value)


def test_a_variable_leaves_the_rest_of_its_section_alone(file: Path) -> None:
    bridge = load(file, "bridge: {http_port: 7003, token: kept}", XZP_BRIDGE__HTTP_PORT="9003").bridge
    assert (bridge.http_port, bridge.token) == (9003, "kept")


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("XZP_BRIDGE__HTTP_PORT", "many", "bridge.http_port 的值 'many' 不行，应为：整数，1 到 65535"),
        ("XZP_BRIDGE__HTTP_PORT", "0", "应为：1 到 65535"),
        ("XZP_BRIDGE__HTTP_PORT__X", "1", "bridge.http_port"),
        ("XZP_BRIDGE__HTTP_PROT", "1", "没有 bridge.http_prot 这一项"),
        ("XZP_NOSUCH", "1", "没有 nosuch 这一项"),
        ("XZP_SESSION__WAKE_WORDS", "[小智", "列表"),
        ("XZP_BRIDGE", "1", "“键: 值”"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, variable: str, text: str, told: str) -> None:
    file.write_text("role: default", encoding="utf-8")
    message = complaint(file, {variable: text})
    assert variable in message and told in message
    assert str(file) not in message


def test_other_variables_are_left_alone(file: Path) -> None:
    assert load(file, "", HOME="/root", XZPLORE="1").model_dump() == Settings().model_dump()


# Secrets.


def test_a_secret_comes_from_the_environment(file: Path) -> None:
    settings = load(
        file,
        "llm: {api_key: '${MY_KEY}', extra_body: {user: ['a ${MY_KEY} ${OTHER}', 1]}}",
        MY_KEY="sk-${OTHER}",
        OTHER="b",
    )
    assert settings.llm.api_key == "sk-${OTHER}"  # what a secret holds is not read again
    assert settings.llm.extra_body == {"user": ["a sk-${OTHER} b", 1]}


def test_a_missing_secret_is_named_with_its_key_and_how_to_set_it(file: Path) -> None:
    file.write_text("llm: {api_key: '${MY_KEY}'}", encoding="utf-8")
    message = complaint(file)
    for part in (str(file), "llm.api_key", "${MY_KEY}", "export MY_KEY="):
        assert part in message


def test_a_missing_secret_in_a_variable_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = complaint(None, {"XZP_LLM__API_KEY": "${MY_KEY}"})
    assert "llm.api_key" in message and "None" not in message


def test_what_is_rendered_is_plain_yaml_in_utf_8() -> None:
    assert yaml.safe_load(render()) == Settings().model_dump(mode="json")
