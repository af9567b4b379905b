"""An install or uninstall that ends in the middle: killed, or because a file cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.host_tree import SETTINGS, snapshot, write_host

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer import atomic_files
from xiaozhi_persona.installer.install import apply, plan_install
from xiaozhi_persona.installer.manifest import Tree
from xiaozhi_persona.installer.merge import Wish, changes_for
from xiaozhi_persona.installer.removal import uninstall
from xiaozhi_persona.installer.survey import read_settings
from xiaozhi_persona.providers.host.doors import DOORS

V1 = DOORS[0].path
STEPS = range(1, 40)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    server = write_host(tmp_path)
    (server / V1).write_text("# 我抄来的\n", encoding="utf-8")
    return Tree(server, server / "data")


@pytest.fixture
def nth_call_fails(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, BaseException], Any]]:
    """Let the n-th call of the system that changes a file or folder fail with an exception."""

    def arm(number: int, exc: BaseException) -> None:
        calls = 0

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == number:
                    raise exc
                return real(*arguments, **options)

            return call

        monkeypatch.setattr(atomic_files.os, "replace", failing(os.replace))
        monkeypatch.setattr(atomic_files.os, "fsync", failing(os.fsync))
        for name in ("mkdir", "unlink", "rmdir"):
            monkeypatch.setattr(Path, name, failing(getattr(Path, name)))

    yield arm
    monkeypatch.undo()


def install(tree: Tree, role: str = "") -> None:
    changes = changes_for(
        read_settings(tree.data / ".config.yaml"), Wish(role, asr="iic/SenseVoiceSmall-onnx")
    )
    apply(plan_install(tree, DOORS, changes=changes, replace=True))


def without_record(tree: Tree) -> dict[str, str]:
    return {path: held for path, held in snapshot(tree.server).items() if not path.endswith("install.json")}


def is_killed(work: Callable[[], Any]) -> bool:
    try:
        work()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("number", STEPS)
def test_a_killed_install_can_be_done_again_or_undone(
    tree: Tree, nth_call_fails: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = snapshot(tree.server)
    install(tree)
    installed = without_record(tree)
    uninstall(tree)
    assert snapshot(tree.server) == before
    nth_call_fails(number, Killed())
    killed = is_killed(lambda: install(tree))
    monkeypatch.undo()
    uninstall(tree)
    assert snapshot(tree.server) == before
    nth_call_fails(number, Killed())
    assert is_killed(lambda: install(tree)) == killed
    monkeypatch.undo()
    install(tree)
    assert without_record(tree) == installed
    uninstall(tree)
    assert snapshot(tree.server) == before


@pytest.mark.parametrize("number", STEPS)
def test_a_killed_second_install_can_be_done_again_or_undone(
    tree: Tree, nth_call_fails: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = snapshot(tree.server)
    install(tree)
    nth_call_fails(number, Killed())
    is_killed(lambda: install(tree, "xiaoyu"))
    monkeypatch.undo()
    if number % 2:
        install(tree, "xiaoyu")
    uninstall(tree)
    assert snapshot(tree.server) == before


@pytest.mark.parametrize("number", STEPS)
def test_a_killed_uninstall_can_be_done_again(
    tree: Tree, nth_call_fails: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = snapshot(tree.server)
    install(tree)
    nth_call_fails(number, Killed())
    is_killed(lambda: uninstall(tree))
    monkeypatch.undo()
    if number % 2:
        install(tree)
    uninstall(tree)
    assert snapshot(tree.server) == before


@pytest.mark.parametrize("number", STEPS)
def test_an_install_that_cannot_write_leaves_all_as_it_was(
    tree: Tree, nth_call_fails: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = snapshot(tree.server)
    nth_call_fails(number, OSError(28, "No space left on device"))
    try:
        install(tree)
    except SettingsError as exc:
        assert "放回原样" in str(exc)
        assert snapshot(tree.server) == before
    monkeypatch.undo()
    uninstall(tree)
    assert snapshot(tree.server) == before


def test_a_write_that_was_broken_off_leaves_nothing_behind(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tree.server)

    def killed(*_: object) -> None:
        raise Killed

    for path in ("install.json", ".config.yaml"):
        real = os.replace
        monkeypatch.setattr(
            atomic_files.os,
            "replace",
            lambda old, new: (killed if str(new).endswith(path) else real)(old, new),  # noqa: B023
        )
        assert is_killed(lambda: install(tree))
        monkeypatch.undo()
        assert snapshot(tree.server) != before
        uninstall(tree)
        assert snapshot(tree.server) == before


@pytest.mark.parametrize("path", [".", "data", "data/.config.yaml", "core/providers/tts", str(V1)])
def test_what_is_locked_is_told_before_anything_is_written(tree: Tree, path: str) -> None:
    place = tree.server / path
    if path == ".":
        place = tree.server / "data"
        (tree.server / V1).chmod(0o444)
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    before = snapshot(tree.server)
    with pytest.raises(SettingsError, match="只读"):
        install(tree)
    assert snapshot(tree.server) == before
    place.chmod(mode)


def test_an_uninstall_of_locked_files_is_told_before_anything_is_undone(tree: Tree) -> None:
    install(tree)
    (tree.data / ".config.yaml").chmod(0o444)
    before = snapshot(tree.server)
    with pytest.raises(SettingsError, match="只读"):
        uninstall(tree)
    assert snapshot(tree.server) == before


def test_settings_broken_since_are_told_before_anything_is_undone(tree: Tree) -> None:
    install(tree)
    (tree.data / ".config.yaml").write_text("a: [\n", encoding="utf-8")
    before = snapshot(tree.server)
    with pytest.raises(SettingsError, match="YAML"):
        uninstall(tree)
    assert snapshot(tree.server) == before


def test_a_broken_record_is_told_with_what_to_do(tree: Tree) -> None:
    install(tree)
    for content in ("{", "[]", '{"format": 9}', '{"format": 1, "files": {"../x": {}}}'):
        (tree.data / "xiaozhi-persona" / "install.json").write_text(content, encoding="utf-8")
        with pytest.raises(SettingsError, match="再运行一次|用那个版本"):
            uninstall(tree)


def test_copies_of_the_settings_are_as_private_as_they_are(tree: Tree) -> None:
    (tree.data / ".config.yaml").chmod(0o600)
    install(tree)
    for name in (".config.yaml", ".config.yaml.xiaozhi-persona.bak", "xiaozhi-persona/install.json"):
        assert (tree.data / name).stat().st_mode & 0o777 == 0o600
    assert (tree.data / ".config.yaml.xiaozhi-persona.bak").read_text("utf-8") == SETTINGS
