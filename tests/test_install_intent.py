"""The local intents in the host's settings: which section they get, and that all of it goes again."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.host_tree import SETTINGS, snapshot, write_host
from test_install import Run, read, run

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.providers.host.doors import DOORS, INTENT, ROLE, Door
from xiaozhi_persona.providers.host.tool_names import TOOL_NAMES

__all__ = ["run"]
TOOLS = [*TOOL_NAMES.values()]
NAME = "persona_intent"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return tmp_path / "host"


@pytest.mark.parametrize(
    ("settings", "selected", "functions"),
    [
        ("", NAME, ["change_role", "get_weather", *TOOLS, "persona_role"]),
        ("Intent: {function_call: {functions: [play_music]}}\n", NAME, ["play_music", *TOOLS, "persona_role"]),
        ("Intent: {function_call: {functions: []}}\n", NAME, [*TOOLS, "persona_role"]),
        (
            "Intent: {function_call: {functions: [persona_memory_tools, persona_role_tool]}}\n",
            NAME,
            ["persona_memory_tools", "persona_role_tool"],
        ),
        ("selected_module: {Intent: nointent}\n", NAME, None),
        ("selected_module: {Intent: Mine}\nIntent: {Mine: {type: function_call, functions: [a]}}\n", NAME,
         ["a", *TOOLS, "persona_role"]),
        ("selected_module: {Intent: intent_llm}\nIntent: {intent_llm: {type: intent_llm}}\n", "intent_llm", None),
        ("selected_module: {Intent: Own}\nIntent: {Own: {type: persona_intent, functions: [a]}}\n", "Own",
         ["a", *TOOLS, "persona_role"]),
        ("selected_module: {Intent: Own}\nIntent: {Own: {type: persona_intent}}\n", "Own", None),
    ],
)  # fmt: skip
def test_which_section_the_intents_get(
    run: Run, host: Path, settings: str, selected: str, functions: list[str] | None
) -> None:
    text = SETTINGS.replace("selected_module:\n", "") if "selected_module" in settings else SETTINGS
    if "selected_module" in settings:
        text = text.replace("  LLM: MyLLM\n  TTS: EdgeTTS  # 微软的\n", "")
    server = write_host(host, settings=text + settings)
    before, own = snapshot(host), read(server).get("Intent", {})
    assert run("install", host)[0] == 0
    after = read(server)
    assert after["selected_module"].get("Intent") == selected
    section = after["Intent"].get(selected, {})
    assert section.get("functions") == functions
    assert section["type"] == NAME or selected == "intent_llm"
    for name, theirs in own.items():
        assert name == selected or after["Intent"][name] == theirs
    once = snapshot(host)
    assert "没有要改的" in run("install", host)[1] and snapshot(host) == once
    assert "没有要改的" in run("install", host, "--no-intent")[1] and snapshot(host) == once
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_without_them_the_hosts_own_stays(run: Run, host: Path) -> None:
    server = write_host(host)
    before = snapshot(host)
    assert run("install", host, "--no-intent")[0] == 0
    assert "Intent" not in read(server)["selected_module"]
    assert read(server)["Intent"] == {"function_call": {"functions": ["change_role", "get_weather", *TOOLS]}}
    assert run("install", host)[0] == 0
    functions = ["change_role", "get_weather", *TOOLS, "persona_role"]
    assert read(server)["Intent"][NAME] == {"type": NAME, "functions": functions}
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


@pytest.mark.parametrize("gone", [INTENT, ROLE])
def test_what_an_earlier_version_had_no_file_for_is_added(run: Run, host: Path, gone: Door) -> None:
    server = write_host(host)
    before = snapshot(host)
    assert run("install", host, "--no-intent")[0] == 0
    (server / gone.path).unlink()
    code, out, _ = run("doctor", host)
    assert code == 1 and str(gone.path) in out and "install" in out
    assert run("install", host)[0] == 0
    assert (server / gone.path).read_text("utf-8") == door_text(gone)
    assert run("uninstall", host)[0] == 0 and snapshot(host) == before


def test_what_the_user_added_to_our_section_stays_and_is_told(run: Run, host: Path) -> None:
    server = write_host(host)
    run("install", host)
    file = server / "data" / ".config.yaml"
    text = file.read_text("utf-8")
    assert "    - persona_role\n" in text
    file.write_text(text.replace("    - persona_role\n", "    - persona_role\n    - play_music\n"), "utf-8")
    code, out, _ = run("uninstall", host)
    assert code == 0 and "Intent.persona_intent.functions" in out and "persona_intent" in out
    assert read(server)["Intent"][NAME]["functions"] == ["change_role", "get_weather", "play_music"]
    assert "Intent" not in read(server)["selected_module"]


def test_in_the_console_it_is_told_step_by_step(run: Run, host: Path) -> None:
    write_host(host, settings="manager-api: {url: http://127.0.0.1:8002/xiaozhi}\n")
    code, out, _ = run("install", host)
    assert code == 0 and "编码 persona_role，" in out and "本地意图" in out
    code, out, _ = run("install", host, "--no-intent")
    assert code == 0 and "persona_role" not in out
    assert all((host / "main/xiaozhi-server" / door.path).is_file() for door in DOORS)
