"""`xiaozhi-persona doctor`: everything that users trip over, each with its next step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.commands.common import common_options, edited_settings, prepare, settings_sources
from xiaozhi_persona.commands.doctor.printing import print_checks
from xiaozhi_persona.errors import PersonaError, SettingsError, own_command, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.roster import stored_memories
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.settings_files import find_files

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
"""What the tests run on."""


@click.command("doctor")
@click.argument("host", required=False, type=click.Path(path_type=Path))
@click.option("--python", type=click.Path(path_type=Path), help="小智服务端用的 Python，默认在它的文件夹里找")
@common_options
def command(host: Path | None, python: Path | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """检查会绊倒人的地方：运行环境、端口、模型、角色、GPT-SoVITS，每个毛病都说下一步做什么。

    给出 HOST（xiaozhi-esp32-server 的文件夹）时，检查装在它里面的。会让 GPT-SoVITS 服务器说几句短话；有 ✗ 时退出码为 1。
    """
    if host is not None and config is not None:
        raise SettingsError(tr("给出 HOST 时，用的是它里面的设置。请去掉 --config。"))
    if host is None and python is not None:
        raise SettingsError(
            tr(
                "--python 要和 HOST 一起用：{command}",
                command=own_command(tr("doctor 小智的文件夹 --python 它的Python")),
            )
        )
    if host is None:
        settings = prepare(config, debug)
        checking = check_all(settings, config)
    else:
        from xiaozhi_persona.commands.doctor.host import check_host

        logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
        checking = check_host(host, python)
    # What goes wrong is among the findings.
    logging.getLogger("xiaozhi_persona").setLevel(logging.DEBUG if debug else logging.ERROR)
    sys.exit(1 if asyncio.run(print_checks(checking, as_json=as_json)) else 0)


async def check_all(settings: Settings, config: Path | None) -> AsyncIterator[Check]:
    """Check whatever the bridge needs; `config` is the settings file of the command line."""
    yield _settings_files(settings, config)
    yield _python()
    yield _guarded("libopus", _libopus)
    yield _data_folder(settings)
    yield await asyncio.to_thread(_memories, settings)
    from xiaozhi_persona.commands.doctor.meaning import check_meaning

    yield await asyncio.to_thread(check_meaning, settings)
    bridge = await asyncio.to_thread(_running_bridge, settings)
    for key in ("websocket_port", "http_port"):
        yield await asyncio.to_thread(_port, settings, key, bridge)
    yield _guarded(tr("端点检测（VAD）"), lambda: _vad(settings))
    from xiaozhi_persona.commands.doctor.recognizer import check_recognizer

    async for check in check_recognizer(settings):
        yield check
    yield await _chat_model(settings)
    from xiaozhi_persona.commands.doctor.tools import check_tools

    async for check in check_tools(settings):
        yield check
    from xiaozhi_persona.commands.doctor.own_intents import check_own_intents

    for check in await asyncio.to_thread(lambda: [*check_own_intents(settings)]):
        yield check
    from xiaozhi_persona.commands.doctor.roles import check_roles

    async for check in check_roles(settings):
        yield check


def _guarded(what: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except PersonaError as exc:
        return failed(what, exc)


def _settings_files(settings: Settings, config: Path | None) -> Check:
    """Which files they are: another folder has other settings, and another memory."""
    line = settings_sources(settings, config)
    if edited := edited_settings(config):
        step = tr(
            "运行 {command}，搬到 data/.config.yaml，git pull 才不会冲突。", command=own_command("set --move")
        )
        return Check(
            "warning",
            tr("设置"),
            tr("{line}；config.yaml 里改过 {edited}", line=line, edited=tr("、").join(edited)),
            step,
        )
    if find_files(config).present:
        return Check("ok", tr("设置"), line)
    return Check("warning", tr("设置"), line, tr("到项目文件夹里运行，或加上 --config 文件。"))


def _python() -> Check:
    version = sys.version_info[:2]
    found = tr("{value}（{executable}）", value=sys.version.split()[0], executable=sys.executable)
    if version < OLDEST_PYTHON:
        return Check("error", "Python", found, tr("装 Python 3.10 到 3.13，再装一次本程序"))
    if version > NEWEST_PYTHON:
        return Check("warning", "Python", found, tr("没有在这么新的版本上试过；出问题时换 3.10 到 3.13。"))
    return Check("ok", "Python", found)


def _libopus() -> Check:
    import numpy as np

    from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder

    encoder = OpusEncoder()
    OpusDecoder(24000).decode(encoder.encode(np.zeros(encoder.frame_samples, np.int16)))
    library = getattr(sys.modules.get("opuslib_next.api"), "libopus", None)
    return Check(
        "ok", "libopus", tr("能编能解，用的是 {getattr}", getattr=getattr(library, "_name", tr("系统的库")))
    )


async def _chat_model(settings: Settings) -> Check:
    from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
    from xiaozhi_persona.spine import Message

    what, llm = tr("对话模型"), settings.llm
    if not llm.base_url:
        step = tr("在 data/.config.yaml 的 llm 里写 base_url、api_key、model。")
        return Check("warning", what, tr("自带的离线应答，只会简单的话"), step)
    began, first_s = time.monotonic(), 0.0
    try:
        model = OpenAiChatModel(llm)
        try:
            async with contextlib.aclosing(model.stream([Message("user", "只回答一个字：好")])) as deltas:
                async for _ in deltas:
                    first_s = first_s or time.monotonic() - began
        finally:
            await model.aclose()
    except PersonaError as exc:
        return failed(what, exc)
    return Check(
        "ok",
        what,
        tr(
            "{value} 会回答（第一个字 {value2:.0f} 毫秒）",
            value=llm.model or llm.base_url,
            value2=first_s * 1000,
        ),
    )


def _vad(settings: Settings) -> Check:
    from xiaozhi_persona.providers.vad.detector import SileroModel, load_vad_model

    what = tr("端点检测（VAD）")
    model = load_vad_model(settings.path(settings.vad.model) if settings.vad.model else None)
    if not isinstance(model, SileroModel):
        step = tr(
            "运行 {pip_install}，或把 ONNX 文件写进 vad.model。",
            pip_install=pip_install("--no-deps", "silero-vad"),
        )
        return Check(
            "warning", what, tr("没有 Silero 的模型，用 {name}，嘈杂时不太准", name=model.name), step
        )
    return Check("ok", what, model.name)


def _port(settings: Settings, key: str, bridge: str) -> Check:
    """Whether the bridge could listen at a port: tried, not asked. `bridge` tells of the one that runs, if any."""
    port, host = getattr(settings.bridge, key), settings.bridge.host
    what = tr("端口 {port}", port=port)
    if key == "http_port" and port == settings.bridge.websocket_port:
        found = tr("bridge.websocket_port 和 bridge.http_port 都是它，桥启动不了")
        return Check("error", what, found, tr("改其中一个。"))
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            if os.name == "posix":  # as asyncio's servers do: connections that linger do not count as taken
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(1)
    except PermissionError as exc:
        return Check(
            "error",
            what,
            tr("不许用（{strerror}）", strerror=exc.strerror),
            tr("把 bridge.{key} 改成 1024 以上的。", key=key),
        )
    except OSError as exc:
        if bridge:
            return Check("ok", what, bridge)
        found = tr("{host} 上用不了（{value}），占着它的不是本程序的桥", host=host, value=exc.strerror or exc)
        return Check("warning", what, found, tr("关掉占着它的程序，或改 bridge.{key}。", key=key))
    return Check("ok", what, tr("空着，桥可以用（bridge.{key}）", key=key))


def _running_bridge(settings: Settings) -> str:
    """Say that the bridge of these settings runs, "" where it does not: its health check answers."""
    import httpx

    host, port = settings.bridge.host, settings.bridge.http_port
    with contextlib.suppress(httpx.HTTPError, ValueError):
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        health = httpx.get(f"http://{name}:{port}/health", timeout=1.0, trust_env=False).json()
        if isinstance(health, dict) and {"status", "version", "devices"} <= set(health):
            return tr(
                "桥正在这里运行（{value}，连着 {value2} 台设备）",
                value=health["version"],
                value2=health["devices"],
            )
    return ""


def _memories(settings: Settings) -> Check:
    """Whose memories there are. They are only read: a bridge may be writing to them."""
    memories = stored_memories(settings.memory_dir)
    for one in memories:
        if one.problem:
            may_read = os.access(one.folder, os.R_OK | os.X_OK)
            step = (
                tr("重启桥，它会把坏的移到一旁，能读的写进新的。")
                if may_read
                else tr("检查这个文件夹的权限和主人。")
            )
            return Check(
                "error",
                tr("记忆"),
                tr("{folder} 读不了（{problem}）", folder=one.folder, problem=one.problem),
                step,
            )
    turns = sum(one.turns for one in memories)
    return Check(
        "ok",
        tr("记忆"),
        tr("{count} 份，一共 {turns} 条谈话", count=len(memories), turns=turns)
        if memories
        else tr("还没有，设备说过话就有"),
    )


def _data_folder(settings: Settings) -> Check:
    folder = settings.data_dir.absolute()
    step = tr("检查权限和剩余空间，或改 paths.data。")
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        if not there.is_dir():
            raise NotADirectoryError(tr("{there} 不是文件夹", there=there))
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"0" * 4096)
    except OSError as exc:
        return Check(
            "error",
            tr("数据文件夹"),
            tr("写不了 {folder}（{value}）", folder=folder, value=exc.strerror or exc),
            step,
        )
    return Check(
        "ok",
        tr("数据文件夹"),
        tr("{folder} 可以写", folder=folder) + ("" if there == folder else tr("（还没有，用到时建）")),
    )
