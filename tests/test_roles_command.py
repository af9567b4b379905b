"""`xiaozhi-persona roles`: what it prints and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.role_packs import write_clip, write_role

from xiaozhi_persona.cli import main

Run = Callable[..., tuple[int, str, str]]
TEXT = "这是四秒钟的一句话，一共有十六个字。"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call `roles ...` in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", "roles", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, out, err

    return call


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("arguments", [["list"], []])
def test_the_roles_are_listed(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    write_role(tmp_path / "data" / "roles" / "mei", clips={"高兴/a": TEXT})
    write_role(tmp_path / "data" / "roles" / "broken", "nam: x")
    code, out, _ = run(*arguments, "--json")
    found = {line["id"]: line for line in lines(out)}
    assert code == 0 and set(found) == {"default", "xiaoyu", "mei", "broken"}
    assert found["mei"]["tags"] == ["高兴", "中性"] and not found["mei"]["bundled"]
    assert "role.yaml" in found["broken"]["error"]
    code, out, _ = run(*arguments)
    assert code == 0 and "小雨" in out and "读不了" in out


def test_a_role_is_shown_with_its_clips_and_its_prompt(run: Run) -> None:
    code, out, _ = run("show", "xiaoyu")
    assert code == 0 and "refs/害羞/01.wav" in out and "只能是：高兴" in out
    code, out, _ = run("show", "xiaoyu", "--json")
    (shown,) = lines(out)
    assert len(shown["clips"]) == 10 and shown["name"] == "小雨" and "【高兴】" in shown["system_prompt"]
    code, _, err = run("show", "nobody")
    assert code == 2 and "xiaoyu" in err


def test_a_folder_without_role_yaml_is_told_with_what_is_missing(run: Run, tmp_path: Path) -> None:
    roles = tmp_path / "data" / "roles"
    (roles / "mimi" / "refs").mkdir(parents=True)
    write_role(roles / "twice" / "twice", clips={"高兴/a": TEXT})
    (roles / "empty").mkdir()
    for role_id, told in (("mimi", "name: 名字"), ("twice", str(roles / "twice" / "twice" / "role.yaml"))):
        code, _, err = run("show", role_id)
        assert code == 2 and f"{roles / role_id} 里没有 role.yaml" in err and told in err
    code, _, err = run("show", "empty")
    assert code == 2 and "没有角色" in err
    code, out, _ = run("list")
    assert code == 0 and f"mimi 读不了：{roles / 'mimi'} 里没有 role.yaml" in out and "empty" not in out
    assert {line["id"] for line in lines(run("list", "--json")[1]) if "error" in line} == {"mimi", "twice"}


@pytest.mark.parametrize("arguments", [["check", "mei", "--json"], ["--json", "check", "mei"]])
def test_a_check_ends_with_1_for_errors_and_0_for_warnings(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    folder = write_role(tmp_path / "data" / "roles" / "mei", clips={"高兴/a": TEXT})
    code, out, _ = run(*arguments)
    assert code == 0 and lines(out)[-1] == {"role": "mei", "errors": 0, "warnings": 1}
    assert lines(out)[0]["seconds"] == 4.0
    write_clip(folder / "refs" / "悲伤" / "b.wav", 2.0, "太短的一句话。")
    code, out, _ = run(*arguments)
    assert code == 1 and lines(out)[-1]["errors"] == 1
    code, out, _ = run("check", "mei")
    assert code == 1 and "错误 refs/悲伤/b.wav" in out and "api_v2" in out


def test_names_and_texts_with_brackets_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    write_role(tmp_path / "data" / "roles" / "[bold]", clips={"[red]/a": "[高兴]" + TEXT, "中性/[b]": ""})
    for arguments in (["list"], ["show", "[bold]"], ["check", "[bold]"], ["fix", "[bold]"]):
        _, out, err = run(*arguments)
        assert ("[bold]" if arguments == ["list"] else "[red]") in out and not err


def test_without_an_id_the_configured_role_is_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("role: xiaoyu", encoding="utf-8")
    code, out, _ = run("check", "--json")
    assert code == 0 and lines(out)[-1] == {"role": "xiaoyu", "errors": 0, "warnings": 0}


def test_a_mended_role_passes_the_check(run: Run, tmp_path: Path) -> None:
    folder = write_role(tmp_path / "data" / "roles" / "mei", clips={"中性/a": TEXT})
    write_clip(folder / "refs" / "悲伤" / "b.wav", 2.0, "太短的一句话。")
    assert run("check", "mei")[0] == 1
    code, out, _ = run("fix", "mei")
    assert code == 0 and "补静音" in out and "mei-fixed" in out
    assert run("check", "mei-fixed")[0] == 0
    code, _, err = run("fix", "mei")
    assert code == 2 and "--name" in err
    code, out, _ = run("fix", "mei", "--name", "again", "--json")
    assert code == 0 and lines(out)[-1]["role"] == "again"


def test_an_import_tells_what_it_took_and_where_it_is(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "role" / "银花"
    write_clip(source / "reference.wav")
    text = json.dumps({"ref_audio": "reference.wav", "ref_text": TEXT, "ref_lang": "zh", "extra": 1})
    (source / "config.json").write_text(text, encoding="utf-8")
    code, out, _ = run("import", str(source))
    assert code == 0 and "refs/default/01.wav" in out and "不认识" in out and "roles check 银花" in out
    assert run("check", "银花")[0] == 0
    code, out, _ = run("import", str(source), "--name", "二号", "--kind", "cabm", "--json")
    assert code == 0 and lines(out)[-1]["role"] == "二号"
    assert {line["kind"] for line in lines(out)[:-1]} == {"taken", "ignored"}
    code, _, err = run("import", str(tmp_path / "gone"))
    assert code == 2 and "请检查路径" in err
