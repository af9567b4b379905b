"""`xiaozhi-persona install` and `uninstall`: what they write into a host, what they refuse, what they put back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.host_tree import SETTINGS, snapshot, write_host
from fakes.role_packs import write_role

from xiaozhi_persona.cli import main
from xiaozhi_persona.installer.merge import DEFAULT_FUNCTIONS
from xiaozhi_persona.providers.host.doors import DOORS
from xiaozhi_persona.providers.host.tool_names import TOOL_NAMES

Run = Callable[..., tuple[int, str, str]]
V1, V2 = "core/providers/tts/gpt_sovits_v1.py", "core/providers/tts/gpt_sovits_v2_stream.py"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command beside the host; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        assert isinstance(exited.value.code, int)
        return exited.value.code, *capsys.readouterr()

    return call


@pytest.fixture(params=["made up", "real"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A host with settings: the made-up one, and a copy of the one in XIAOZHI_SERVER_DIR where that is set."""
    if request.param == "made up":
        return write_host(tmp_path / "host")
    if not os.environ.get("XIAOZHI_SERVER_DIR"):
        pytest.skip("XIAOZHI_SERVER_DIR is not set")
    folder = tmp_path / "host" / "main" / "xiaozhi-server"
    unwanted = shutil.ignore_patterns(
        "data", "models", "music", "tmp", "__pycache__", "gpt_sovits_v[12]*stream*"
    )
    shutil.copytree(os.environ["XIAOZHI_SERVER_DIR"], folder, ignore=unwanted)
    (folder / "data").mkdir()
    (folder / "data" / ".config.yaml").write_text(SETTINGS, encoding="utf-8")
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return tmp_path / "host"


def read(server: Path) -> Any:
    return yaml.safe_load((server / "data" / ".config.yaml").read_text(encoding="utf-8"))


def test_a_voice_is_installed_and_taken_out_to_the_byte(run: Run, server: Path, host: Path) -> None:
    before = snapshot(host)
    code, out, err = run("install", host, "--role", "xiaoyu")
    assert code == 0 and not err and "gpt_sovits_v2_stream" in out and "doctor" in out
    settings = read(server)
    assert settings["selected_module"] == {
        "LLM": "MyLLM",
        "TTS": "PersonaVoice",
        "Memory": "persona_memory",
        "Intent": "persona_intent",
    }
    assert settings["Memory"] == {"persona_memory": {"type": "persona_memory"}}
    defaults = yaml.safe_load((server / "config.yaml").read_text("utf-8"))
    listed = defaults["Intent"]["function_call"]["functions"]
    assert settings["Intent"] == {
        "persona_intent": {
            "type": "persona_intent",
            "functions": [*listed, *TOOL_NAMES.values(), "persona_role"],
        }
    }
    assert settings["TTS"]["PersonaVoice"] == {
        "type": "gpt_sovits_v2_stream",
        "url": "http://127.0.0.1:9880/tts",
        "output_dir": "tmp/",
        "role": "xiaoyu",
    }
    assert (server / settings["prompt_template"]).is_file()
    assert yaml.safe_load((server / "data/xiaozhi-persona/config.yaml").read_text("utf-8")) == {
        "paths": {"data": "."}
    }
    for door in DOORS:
        compile((server / door.path).read_text("utf-8"), str(door.path), "exec")
    assert run("uninstall", host)[0] == 0
    assert snapshot(host) == before


def test_installing_twice_changes_nothing(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    once = snapshot(host)
    code, out, _ = run("install", host)
    assert code == 0 and "没有要改的" in out and snapshot(host) == once


def test_print_shows_what_would_be_written_and_writes_nothing(run: Run, server: Path, host: Path) -> None:
    before = snapshot(host)
    code, out, _ = run("install", host, "--print")
    assert code == 0 and V1 in out and V2 in out and snapshot(host) == before
    assert "-  TTS: EdgeTTS" in out and "+prompt_template: data/xiaozhi-persona/prompt.txt" in out
    assert "密钥" not in out
    code, out, _ = run("install", host, "--print", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line.get("path") for line in lines} >= {V1, V2, "data/.config.yaml"} and "diff" in lines[-1]


@pytest.mark.parametrize("place", [".", "main", "main/xiaozhi-server"])
def test_the_server_is_found_from_any_of_its_folders(run: Run, tmp_path: Path, place: str) -> None:
    server = write_host(tmp_path / "host")
    assert run("install", tmp_path / "host" / place)[0] == 0 and (server / V1).is_file()


def test_it_runs_in_the_host_whose_config_yaml_is_not_ours(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = write_host(tmp_path / "host")
    monkeypatch.chdir(server)
    assert run("install", ".")[0] == 0 and run("uninstall", ".")[0] == 0


def test_comments_order_and_line_ends_of_the_settings_stay(run: Run, tmp_path: Path, host: Path) -> None:
    text = SETTINGS.replace("\n", "\r\n")
    server = write_host(host, settings=b"\xef\xbb\xbf" + text.encode("utf-8"))
    assert run("install", host)[0] == 0
    after = (server / "data" / ".config.yaml").read_bytes()
    lines, old = after.decode("utf-8-sig").split("\r\n"), text.split("\r\n")
    assert after.startswith(b"\xef\xbb\xbf") and after.count(b"\n") == after.count(b"\r\n")
    assert [line for line in old if line not in lines] == ["  TTS: EdgeTTS  # 微软的"]
    assert "  TTS: PersonaVoice  # 微软的" in lines
    assert [line for line in lines if line in old] == [line for line in old if line in lines]


@pytest.mark.parametrize(
    ("settings", "options", "section", "expected"),
    [
        ("GPT_SOVITS_V2", [], "GPT_SOVITS_V2", {"type": "gpt_sovits_v2_stream"}),
        (
            "GPT_SOVITS_V2",
            ["--role", "xiaoyu"],
            "GPT_SOVITS_V2",
            {"type": "gpt_sovits_v2_stream", "role": "xiaoyu"},
        ),
        ("GPT_SOVITS_V3", ["--tts", "gpt_sovits_v1"], "GPT_SOVITS_V3", {"type": "gpt_sovits_v1"}),
        (
            "EdgeTTS",
            ["--tts", "gpt_sovits_v1", "--url", "http://10.0.0.9:9880"],
            "PersonaVoice",
            {"type": "gpt_sovits_v1", "url": "http://10.0.0.9:9880", "output_dir": "tmp/"},
        ),
        (
            "EdgeTTS",
            ["--tts", "persona_voice", "--role", "xiaoyu"],
            "PersonaVoice",
            {"type": "persona_voice", "output_dir": "tmp/", "role": "xiaoyu"},
        ),
    ],
)
def test_the_section_in_use_keeps_its_keys(
    run: Run, host: Path, settings: str, options: list[str], section: str, expected: dict[str, str]
) -> None:
    server = write_host(host, settings=f"selected_module:\n  TTS: {settings}\n")
    before = snapshot(host)
    options = [*options, "--no-memory", "--no-intent"]
    assert run("install", host, *options)[0] == 0
    after = read(server)
    assert after["TTS"] == {section: expected} and after["selected_module"] == {"TTS": section}
    assert run("install", host, "--no-memory", "--no-intent")[1].count("没有要改的") == 1
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_an_address_for_a_voice_that_takes_none_is_told(run: Run, host: Path) -> None:
    write_host(host)
    before = snapshot(host)
    code, _, told = run("install", host, "--tts", "persona_voice", "--url", "http://10.0.0.9:9880")
    assert code == 2 and "--url" in told and "xiaozhi-persona/config.yaml" in told
    assert snapshot(host) == before


@pytest.mark.parametrize(
    "intent",
    [
        "Intent:\n  function_call:\n    functions:\n      - play_music  # 音乐\n      # - get_weather\n",
        "Intent:\n  function_call:\n    functions:\n    - play_music\n    type: function_call\n",
        "Intent: {function_call: {functions: [play_music]}}\n",
        "Intent: {function_call: {functions: []}}\n",
        "Intent:\n  function_call:\n    functions:\n    type: function_call\n",
    ],
)
def test_the_tools_are_put_behind_the_users_own_and_go_again(run: Run, host: Path, intent: str) -> None:
    server = write_host(host, settings=SETTINGS + intent)
    before = snapshot(host)
    own = read(server)["Intent"]["function_call"]["functions"] or []
    code, out, _ = run("install", host, "--no-intent")
    assert code == 0 and f"functions 加上 {TOOL_NAMES['recall']}" in out
    text = (server / "data" / ".config.yaml").read_text("utf-8")
    assert read(server)["Intent"]["function_call"]["functions"] == [*own, *TOOL_NAMES.values()]
    assert (
        "# 音乐" not in intent or "      - play_music  # 音乐\n      # - get_weather\n      - persona" in text
    )
    assert "没有要改的" in run("install", host, "--no-intent")[1]
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before
    run("install", host, "--no-intent")
    file = server / "data" / ".config.yaml"
    file.write_text(file.read_text("utf-8").replace("port: 8000", "port: 9000"), "utf-8")
    assert run("uninstall", host)[0] == 0
    assert file.read_text("utf-8") == (SETTINGS + intent).replace("port: 8000", "port: 9000")


def test_what_the_user_listed_since_stays_when_the_tools_go(run: Run, host: Path) -> None:
    server = write_host(host)
    run("install", host, "--no-intent")
    file = server / "data" / ".config.yaml"
    text = file.read_text("utf-8")
    last = f"    - {TOOL_NAMES['off_record']}\n"
    assert last in text
    file.write_text(text.replace(last, f"{last}    - play_music\n"), "utf-8")
    code, out, _ = run("uninstall", host)
    listed = read(server)["Intent"]["function_call"]["functions"]
    assert code == 0 and listed == ["change_role", "get_weather", "play_music"] and "functions" in out
    assert "Memory" not in read(server) and "Memory" not in read(server)["selected_module"]


@pytest.mark.parametrize(
    ("settings", "tools", "memory"),
    [
        ("selected_module: {Intent: nointent}\n", False, "persona_memory"),
        (
            "selected_module: {Intent: intent_llm}\nIntent: {intent_llm: {type: intent_llm}}\n",
            False,
            "persona_memory",
        ),
        ("selected_module: {Intent: Mine}\nIntent: {Mine: {type: function_call}}\n", True, "persona_memory"),
        ("selected_module: {Memory: Mine}\nMemory: {Mine: {type: persona_memory}}\n", True, "Mine"),
        ("Intent: {function_call: {functions: [persona_memory_tools]}}\n", False, "persona_memory"),
    ],
)
def test_tools_go_where_the_model_calls_some(
    run: Run, host: Path, settings: str, tools: bool, memory: str
) -> None:
    server = write_host(host, settings=settings)
    before = snapshot(host)
    assert run("install", host)[0] == 0
    assert (TOOL_NAMES["recall"] in str(read(server).get("Intent"))) == tools
    assert read(server)["selected_module"]["Memory"] == memory
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_without_the_memory_the_hosts_own_stays(run: Run, server: Path, host: Path) -> None:
    assert run("install", host, "--no-memory", "--no-intent")[0] == 0
    assert not {"Memory", "Intent"} & set(read(server)) and "Memory" not in read(server)["selected_module"]
    assert run("install", host)[0] == 0 and "Memory" in read(server)
    assert run("install", host, "--no-memory")[1].count("没有要改的") == 1 and "Memory" in read(server)


def test_the_hosts_own_recognizer_becomes_ours_and_goes_back(run: Run, server: Path, host: Path) -> None:
    defaults = yaml.safe_load((server / "config.yaml").read_text("utf-8"))
    selected = defaults["selected_module"]["ASR"]
    model = defaults["ASR"][selected]["model_dir"]
    for folder in (server / model, host / "other"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.pt").touch()
    before = snapshot(host)
    assert run("install", host, "--asr", model)[0] == 0
    assert read(server)["ASR"] == {selected: {"type": "persona_funasr"}}
    assert "ASR" not in read(server)["selected_module"]
    once = snapshot(host)
    for again in (["--asr", model], []):
        code, out, _ = run("install", host, *again)
        assert code == 0 and "没有要改的" in out and "[asr,espeak]" in out and snapshot(host) == once
    assert run("install", host, "--asr", host / "other", "--role", "xiaoyu")[0] == 0
    wanted = {"type": "persona_funasr", "model_dir": str(host / "other"), "role": "xiaoyu"}
    assert read(server)["ASR"][selected] == wanted
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


@pytest.mark.parametrize(
    ("settings", "section"),
    [
        ("selected_module: {ASR: DoubaoASR}\n", "PersonaFunAsr"),
        ("selected_module: {ASR: Mine}\nASR: {Mine: {type: fun_server, host: 10.0.0.9}}\n", "PersonaFunAsr"),
        ("selected_module: {ASR: Mine}\nASR: {Mine: {type: fun_local, device: cpu}}\n", "Mine"),
        ("selected_module:\n  ASR: DoubaoASR\nASR:\n  PersonaFunAsr:\n    type: edge\n", "PersonaFunAsr"),
    ],
)
def test_a_recognizer_is_chosen_in_a_section_of_its_own(
    run: Run, host: Path, settings: str, section: str
) -> None:
    server = write_host(host, settings=settings)
    before = snapshot(host)
    assert run("install", host, "--asr", "iic/SenseVoiceSmall-onnx")[0] == 0
    after = read(server)
    assert after["selected_module"]["ASR"] == section
    assert after["ASR"][section] == {
        "type": "persona_funasr",
        "output_dir": "tmp/",
        "model_dir": "iic/SenseVoiceSmall-onnx",
        **({"device": "cpu"} if section == "Mine" else {}),
    }
    once = snapshot(host)
    assert run("install", host, "--asr", "iic/SenseVoiceSmall-onnx")[0] == 0 and snapshot(host) == once
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_without_a_model_the_hosts_own_recognizer_stays_and_one_line_tells(
    run: Run, server: Path, host: Path
) -> None:
    out = run("install", host)[1]
    assert sum("--asr" in line for line in out.splitlines()) == 1
    assert "ASR" not in read(server) and "ASR" not in read(server)["selected_module"]
    assert "--asr" not in run("install", host, "--print")[1]


def test_a_model_that_is_no_folder_and_no_name_is_refused(run: Run, host: Path, tmp_path: Path) -> None:
    server = write_host(host)
    before = snapshot(host)
    for model in ("paraformer-zh", "/no/such/folder", "../x/y", "data/nope"):
        code, _, err = run("install", host, "--asr", model)
        assert code == 2 and model in err and "SenseVoiceSmall" in err and snapshot(host) == before
    (tmp_path / "beside").mkdir()
    code, _, err = run("install", host, "--asr", "beside")
    assert code == 2 and "beside 里没有" in err and snapshot(host) == before
    (tmp_path / "beside" / "model.pt").touch()
    assert run("install", host, "--asr", "beside")[0] == 0
    assert read(server)["ASR"]["FunASR"]["model_dir"] == str(tmp_path / "beside")


def test_a_recognizer_that_still_names_the_door_is_told(run: Run, server: Path, host: Path) -> None:
    run("install", host, "--asr", "a/b")
    data = read(server)
    data["ASR"]["Mine"] = {"type": "persona_funasr"}
    (server / "data" / ".config.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), "utf-8")
    assert "ASR.Mine：type 还是 persona_funasr" in run("uninstall", host)[1]


def test_a_section_of_the_v1_provider_works_on_unchanged(run: Run, host: Path) -> None:
    section = {"type": "gpt_sovits_v1", "url": "http://10.0.0.9:9880", "refer_wav_path": "a.wav"}
    text = yaml.safe_dump({"selected_module": {"TTS": "Mine"}, "TTS": {"Mine": section}})
    server = write_host(host, settings=text)
    assert run("install", host)[0] == 0
    assert read(server)["TTS"] == {"Mine": section} and read(server)["selected_module"]["TTS"] == "Mine"


def test_a_file_that_is_not_ours_is_refused_or_kept_for_later(run: Run, server: Path, host: Path) -> None:
    (server / V1).write_bytes("# 我抄来的\r\nclass TTSProvider: ...\r\n".encode())
    os.chmod(server / V1, 0o640)
    before = snapshot(host)
    code, _, err = run("install", host)
    assert code == 2 and V1 in err and "--replace" in err and snapshot(host) == before
    code, out, _ = run("install", host, "--replace")
    assert code == 0 and "uninstall" in out and b"xiaozhi_persona" in (server / V1).read_bytes()
    assert run("install", host)[0] == 0
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_an_edited_door_is_refused_and_left_by_uninstall(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    (server / V1).write_text((server / V1).read_text("utf-8") + "\nx = 1\n", "utf-8")
    assert run("install", host)[0] == 2
    code, out, _ = run("uninstall", host)
    assert code == 0 and f"{V1}：后来改过" in out and (server / V1).is_file() and not (server / V2).exists()


def test_a_door_of_another_version_is_renewed(
    run: Run, server: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(host)
    with monkeypatch.context() as older:
        older.setattr("xiaozhi_persona.installer.door_files.__version__", "0.0.1")
        run("install", host)
    assert b" 0.0.1 " in (server / V1).read_bytes()
    assert run("install", host)[0] == 0 and b" 0.0.1 " not in (server / V1).read_bytes()
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_a_users_edit_between_stays_and_ours_goes(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    file = server / "data" / ".config.yaml"
    text = file.read_text("utf-8").replace("port: 8000", "port: 9000").replace("9880/tts", "1/tts")
    file.write_text(text, "utf-8")
    run("install", host, "--role", "xiaoyu")
    code, out, _ = run("uninstall", host)
    assert code == 0 and "TTS.PersonaVoice.url" in out
    assert file.read_text("utf-8") == SETTINGS.replace("port: 8000", "port: 9000").replace(
        "    # rate: 1\n", "    # rate: 1\n  PersonaVoice:\n    url: http://127.0.0.1:1/tts\n"
    )


def test_a_section_that_still_names_a_door_is_told(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    file = server / "data" / ".config.yaml"
    file.write_text(
        file.read_text("utf-8").replace("  EdgeTTS:\n    type: edge", "  EdgeTTS:\n    type: gpt_sovits_v1"),
        "utf-8",
    )
    out = run("uninstall", host)[1]
    assert "TTS.EdgeTTS：type 还是 gpt_sovits_v1" in out and "Memory" not in out


def test_a_memory_that_still_names_the_door_is_told(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    file = server / "data" / ".config.yaml"
    file.write_text(file.read_text("utf-8") + "x: 1\n", "utf-8")
    data = read(server)
    data["Memory"]["Mine"] = {"type": "persona_memory"}
    file.write_text(yaml.safe_dump(data, allow_unicode=True), "utf-8")
    assert "Memory.Mine：type 还是 persona_memory" in run("uninstall", host)[1]


def test_data_stays_unless_it_is_purged(run: Run, server: Path, host: Path) -> None:
    before = snapshot(host)
    ours = server / "data" / "xiaozhi-persona"
    run("install", host)
    write_role(ours / "roles" / "mei", clips={"高兴/a": "一句话。"})
    (ours / "config.yaml").write_text("role: mei\npaths: {data: .}\n", "utf-8")
    assert run("install", host, "--role", "mei")[0] == 0
    assert "mei" in (ours / "config.yaml").read_text("utf-8")
    code, out, _ = run("uninstall", host)
    assert code == 0 and "--purge" in out and "roles" in out
    assert (ours / "roles" / "mei" / "role.yaml").is_file() and (ours / "config.yaml").is_file()
    assert run("uninstall", host, "--purge")[0] == 0 and snapshot(host) == before


def test_what_python_compiled_of_the_doors_goes_too(run: Run, server: Path, host: Path) -> None:
    before = snapshot(host)
    run("install", host)
    cache = server / "core" / "providers" / "tts" / "__pycache__"
    cache.mkdir()
    (cache / "gpt_sovits_v1.cpython-310.pyc").write_bytes(b"x")
    run("uninstall", host)
    assert snapshot(host) == before


def test_uninstall_without_its_record_takes_the_doors(run: Run, server: Path, host: Path) -> None:
    run("install", host)
    shutil.rmtree(server / "data" / "xiaozhi-persona")
    code, out, _ = run("uninstall", host)
    assert code == 0 and not (server / V1).exists() and ".bak" in out
    assert run("uninstall", host)[1].startswith("这里没有装过")


def test_the_data_folder_may_lie_elsewhere(run: Run, host: Path, tmp_path: Path) -> None:
    server = write_host(host)
    shutil.move(server / "data", tmp_path / "volume")
    (server / "data").symlink_to(tmp_path / "volume")
    (tmp_path / "volume" / ".config.yaml").rename(tmp_path / "real.yaml")
    (tmp_path / "volume" / ".config.yaml").symlink_to(tmp_path / "real.yaml")
    before = snapshot(tmp_path)
    assert run("install", host)[0] == 0
    assert (server / "data").is_symlink() and "PersonaVoice" in (tmp_path / "real.yaml").read_text("utf-8")
    assert run("uninstall", host)[0] == 0 and snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (None, "没有"),
        ("", "是空的"),
        ("# 只有注释\n", "是空的"),
        ("server:\n\tip: 1\n", "第 2 行"),
        ("a: [\n", "不是有效的 YAML"),
        ("TTS:\nselected_module:\n  TTS: A\n", "TTS 是空的"),
        ("- a\n", "最外层"),
        ("名字: 小智\n".encode("gb18030"), "UTF-8"),
        ("x: &x {TTS: A}\nselected_module: *x\n", "PersonaVoice"),
    ],
)
def test_settings_that_cannot_be_changed_are_told_and_nothing_is_written(
    run: Run, host: Path, settings: str | bytes | None, words: str
) -> None:
    write_host(host, settings=settings)
    before = snapshot(host)
    code, _, err = run("install", host)
    assert code == 2 and words in err and err.count("\n") <= 30 and snapshot(host) == before


def test_what_is_no_host_or_too_old_is_refused(run: Run, host: Path, tmp_path: Path) -> None:
    write_host(host, version="0.8.11")
    before = snapshot(host)
    code, _, err = run("install", host)
    assert code == 2 and "0.9.1" in err and err.count("\n") == 1 and snapshot(host) == before
    assert "没有小智服务端" in run("install", tmp_path)[2]
    assert "没有文件夹" in run("install", tmp_path / "gone")[2]
    assert run("install")[0] == 2 and run("uninstall")[0] == 2
    assert "xiaoyu" in run("install", write_host(tmp_path / "new"), "--role", "nobody")[2]
    assert run("install", tmp_path / "new", "--url", "10.0.0.9:9880")[0] == 2


def test_a_host_with_other_bases_is_refused(run: Run, host: Path) -> None:
    server = write_host(host)
    base = server / "core" / "providers" / "tts" / "base.py"
    text = base.read_text("utf-8").replace("config, delete_audio_file", "config, delete_audio_file, more")
    base.write_text(text.replace("def to_tts(", "def to_sound("), "utf-8")
    code, _, err = run("install", host)
    assert code == 2 and "to_tts()" in err and "__init__()" in err and not (server / V1).exists()


def test_with_the_console_only_the_doors_are_written_and_the_steps_printed(run: Run, host: Path) -> None:
    server = write_host(host, settings="manager-api:\n  url: http://10.0.0.9:8002/xiaozhi\n  secret: abc\n")
    before = snapshot(host)
    code, out, _ = run("install", host, "--role", "xiaoyu", "--url", "http://10.0.0.9:9880/tts")
    assert code == 0 and "智控台" in out and "http://10.0.0.9:9880/tts" in out and (server / V1).is_file()
    assert TOOL_NAMES["forget"] in out and "长期记忆" in out
    assert "编码 persona_funasr" not in out and "加上 --asr" in out
    without = run("install", host, "--no-memory", "--asr", "iic/SenseVoiceSmall-onnx")[1]
    assert "长期记忆" not in without and "编码 persona_funasr" in without
    assert '"model_dir": "iic/SenseVoiceSmall-onnx"' in without and "加上 --asr" not in without
    assert list(read(server)) == ["manager-api"]
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_an_image_gets_the_doors_only(run: Run, host: Path) -> None:
    server = write_host(host, settings=None)
    (server / "data").rmdir()
    before = snapshot(host)
    assert run("install", host, "--doors-only")[0] == 0
    assert all((server / door.path).is_file() for door in DOORS)
    assert not (server / "data" / ".config.yaml").exists()
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_with_docker_the_settings_go_where_the_compose_file_mounts_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mydata").mkdir()
    (tmp_path / "mydata" / ".config.yaml").write_text(SETTINGS, "utf-8")
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n  xiaozhi-esp32-server:\n    image: x/xiaozhi-esp32-server:server_latest\n"
        "    volumes:\n      - ./mydata:/opt/xiaozhi-esp32-server/data\n",
        "utf-8",
    )
    before = snapshot(tmp_path)
    assert run("install", "--docker", tmp_path, "--print")[0] == 0 and snapshot(tmp_path) == before
    assert run("install", "--docker", tmp_path)[0] == 0
    settings = yaml.safe_load((tmp_path / "mydata" / ".config.yaml").read_text("utf-8"))
    assert settings["TTS"]["PersonaVoice"]["url"].startswith("http://host.docker.internal")
    assert settings["Memory"] == {"persona_memory": {"type": "persona_memory"}}
    listed = settings["Intent"]["persona_intent"]["functions"]  # those of the image cannot be seen from here
    assert listed == [*DEFAULT_FUNCTIONS, *TOOL_NAMES.values(), "persona_role"]
    assert (tmp_path / "mydata" / "xiaozhi-persona" / "prompt.txt").is_file()
    assert "ASR" not in settings
    code, out, _ = run("install", "--docker", tmp_path, "--asr", "data/SenseVoice")
    settings = yaml.safe_load((tmp_path / "mydata" / ".config.yaml").read_text("utf-8"))
    assert code == 0 and "mydata" in out and settings["selected_module"]["ASR"] == "PersonaFunAsr"
    assert settings["ASR"]["PersonaFunAsr"]["model_dir"] == "data/SenseVoice"
    once = snapshot(tmp_path)
    assert "加上 --asr" not in run("install", "--docker", tmp_path)[1] and snapshot(tmp_path) == once
    assert "[asr,espeak]" in (tmp_path / "xiaozhi-persona-docker" / "Dockerfile").read_text("utf-8")
    assert run("uninstall", "--docker", tmp_path)[0] == 0 and snapshot(tmp_path) == before
