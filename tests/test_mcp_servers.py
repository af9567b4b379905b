"""The owner's own MCP servers: real ones of the `mcp` package, started as programs or reached over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from fakes.bridge import make_settings, running
from fakes.openai_server import OpenAiServer
from fakes.parts import ToolModel, make_parts
from fakes.wire import Wire

from xiaozhi_persona.bridge.mcp import own_server
from xiaozhi_persona.bridge.mcp.own_servers import OwnServers
from xiaozhi_persona.bridge.mcp.server_files import FILE_NAME, own_servers
from xiaozhi_persona.bridge.tools import Tool
from xiaozhi_persona.commands.doctor.tools import check_tools
from xiaozhi_persona.errors import ServiceError
from xiaozhi_persona.mcp_settings import McpServerSettings
from xiaozhi_persona.settings import PathSettings, Settings
from xiaozhi_persona.spine import ToolCall

SERVER = str(Path(__file__).with_name("mcp_server.py"))
TOOLS = ["light_set", "fail", "picture", "wait", "end"]
PATIENCE_S = 20.0


def stdio(*arguments: str, **env: str) -> McpServerSettings:
    return McpServerSettings(command=sys.executable, args=[SERVER, "stdio", *arguments], env=env)


@contextlib.asynccontextmanager
async def connected(timeout_s: float = PATIENCE_S, **servers: McpServerSettings) -> AsyncIterator[OwnServers]:
    own = OwnServers(servers, timeout_s)
    own.start()
    async with contextlib.aclosing(own):
        await own.settle(PATIENCE_S)
        yield own


def named(own: OwnServers, name: str) -> Tool:
    return next(tool for tool in own.tools() if tool.name == name)


async def until(own: OwnServers, count: int) -> None:
    """Wait until the servers have so many tools together."""
    with anyio.fail_after(PATIENCE_S):
        while len(own.tools()) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def listening(kind: str) -> Iterator[int]:
    """A server over HTTP, in a program of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, SERVER, f"{kind}:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def test_its_tools_are_called_with_the_environment_that_is_set_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMP", "secret")
    async with connected(home=stdio(), other=stdio(LAMP="lamp")) as own:
        assert own.states() == [("home", "", 5), ("other", "", 5)]
        lights = [tool for tool in own.tools() if tool.name == "light_set"]
        answers = [await light.call({"room": "厨房", "level": "30"}) for light in lights]
        assert [answer.text for answer in answers] == ["厨房 30 -", "厨房 30 lamp"]
        assert "llm.vision" in (await named(own, "picture").call({})).text
        with pytest.raises(ServiceError, match="fail"):
            await named(own, "fail").call({})
        own._servers[0]._timeout_s = 0.2
        with pytest.raises(ServiceError, match="没有回答"):
            await named(own, "wait").call({})
        assert (await lights[0].call({"room": "书房"})).text.startswith("书房")


@pytest.mark.parametrize(
    ("server", "trouble"),
    [
        (McpServerSettings(command="no-such-command"), "没有命令 no-such-command"),
        (
            McpServerSettings(command=sys.executable, args=["-c", "import sys; sys.exit('没有令牌')"]),
            "没有令牌",
        ),
        (McpServerSettings(command=sys.executable, args=["-c", "print('hello')"]), sys.executable),
        (McpServerSettings(command="sleep", args=["100"]), "到时限"),
        (McpServerSettings(url="http://127.0.0.1:9/mcp"), "看它有没有在运行"),
    ],
)
async def test_one_that_does_not_work_says_why_and_is_tried_again(
    server: McpServerSettings, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_server, "FIRST_PAUSE_S", 0.01)
    async with connected(0.5 if trouble == "到时限" else PATIENCE_S, one=server) as own:
        assert trouble in own.states()[0][1] and not own.tools()
        with anyio.fail_after(PATIENCE_S):
            while own._servers[0]._tries < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_an_address_that_refuses_is_told(status: int) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        for path in ("mcp", "sse"):
            async with connected(one=McpServerSettings(url=f"http://127.0.0.1:{port}/{path}")) as own:
                assert str(status) in own.states()[0][1]
                assert ("headers" in own.states()[0][1]) == (status == 401)
    finally:
        await runner.cleanup()


async def test_one_that_ends_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "FIRST_PAUSE_S", 0.01)
    started = tmp_path / "started"
    async with connected(one=stdio(str(started))) as own:
        tool = named(own, "end")
        with pytest.raises(ServiceError):
            await tool.call({})
        await until(own, 0)
        with pytest.raises(ServiceError, match="连不上"):
            await tool.call({})
        await until(own, len(TOOLS))
        assert (await named(own, "light_set").call({"room": "书房"})).text.startswith("书房")
        os.kill(int(started.read_text().split()[-1]), signal.SIGKILL)
        with pytest.raises(ServiceError):
            await named(own, "light_set").call({"room": "书房"})
        await until(own, 0)
        await until(own, len(TOOLS))
    assert len(pids := started.read_text().split()) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.parametrize(
    ("kind", "path", "transport"),
    [
        ("streamable-http", "mcp", "auto"),
        ("sse", "sse", "auto"),
    ],
)
async def test_over_http(kind: str, path: str, transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "FIRST_PAUSE_S", 0.05)  # it is asked before it listens
    monkeypatch.setattr(own_server, "LONGEST_PAUSE_S", 0.2)
    with listening(kind) as port:
        server = McpServerSettings(url=f"http://127.0.0.1:{port}/{path}", transport=transport)
        async with connected(one=server) as own:
            await until(own, len(TOOLS))
            assert (await named(own, "light_set").call({"room": "书房"})).text.startswith("书房")


async def test_without_the_package_there_is_one_line_and_the_bridge_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    async with connected(one=stdio(), two=stdio()) as own:
        assert [trouble for _, trouble, _ in own.states()] == ["没有装 mcp"] * 2
    assert len(caplog.records) == 1 and "pip install" in caplog.text
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.22.0")
    async with connected(one=stdio()) as own:
        assert not own.tools() and "1.22.0" in caplog.text


async def test_the_chat_model_gets_them_in_every_conversation() -> None:
    model = ToolModel([ToolCall("a", "light_set", '{"room": "厨房"}')], ["开了。"])
    parts = make_parts(model)
    parts.servers = OwnServers({"home": stdio()}, PATIENCE_S)
    parts.closers.append(parts.servers.aclose)
    parts.servers.start()
    await parts.servers.settle(PATIENCE_S)
    async with running(parts) as rig, Wire.open(rig.url) as wire:
        await wire.hello()
        await wire.type("开灯")
        await wire.until(lambda: wire.heard.stops == 1)
    assert (
        model.offered[0] == ["persona_role", *TOOLS]
        and model.told == ["厨房 50 -"]
        and wire.heard.subtitles == ["开了。"]
    )


# The files.


def with_file(folder: Path, text: str, **servers: Any) -> tuple[dict[str, McpServerSettings], list[str]]:
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    settings = Settings.model_validate({"mcp": {"servers": servers}})
    return own_servers(settings.model_copy(update={"paths": PathSettings(data=str(folder))}))


def test_the_hosts_file_is_read_as_the_host_reads_it(tmp_path: Path) -> None:
    written = {
        "des": ["说明"],
        "mcpServers": {
            "files": {"command": "npx", "args": ["-y", "x"], "des": "说明", "link": "https://x"},
            "ha": {"command": "mcp-proxy", "url": "http://x", "env": {"API_ACCESS_TOKEN": "t"}},
            "old": {"url": "http://x/sse", "API_ACCESS_TOKEN": "t"},
            "new": {
                "url": "http://x/mcp",
                "transport": "streamable-http",
                "headers": {"A": "b"},
                "timeout": 5,
            },
            "typed": {"url": "http://x/mcp", "type": "http"},
            "off": {"command": "x", "disabled": True},
        },
    }
    found, troubles = with_file(tmp_path, json.dumps(written), files={"command": "mine"})
    assert not troubles and [*found] == ["files", "ha", "old", "new", "typed"]
    assert found["files"].command == "mine" and found["ha"].env and not found["ha"].url
    assert found["old"].headers == {"Authorization": "Bearer t"} and found["old"].transport == "auto"
    assert found["new"].transport == found["typed"].transport == "streamable-http"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "不是有效的 JSON"),
        ("[]", "没有 mcpServers"),
        ('{"mcpServers": 5}', "没有 mcpServers"),
        ("[" * 100_000, "不是有效的 JSON"),
        ('{"mcpServers": {"a": {}}}', "a"),
        ('{"mcpServers": {"a": 5}}', "a"),
        ('{"mcpServers": {"a": {"command": "x", "args": [1]}}}', "args"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "url"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_and_the_rest_counts(tmp_path: Path, text: str, told: str) -> None:
    found, troubles = with_file(tmp_path, text, home={"command": "x"})
    assert [*found] == ["home"] and len(troubles) == 1 and told in troubles[0] and FILE_NAME in troubles[0]


@pytest.mark.parametrize(
    "server", [{}, {"command": "x", "url": "http://x"}, {"command": "x", "transport": "ws"}]
)
def test_a_server_of_the_settings_is_a_command_or_an_address(server: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mcp"):
        Settings.model_validate({"mcp": {"servers": {"a": server}}})
    assert make_settings().mcp.servers == {}


async def test_doctor_tries_each(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"mcpServers": {"off": {"command": "no-such-command"}, "bad": {}}}')
    settings = Settings.model_validate(
        {
            "mcp": {"servers": {"home": stdio().model_dump()}},
            "llm": {"vision": {"base_url": "http://127.0.0.1:9", "timeout_s": 2.0}},
            "paths": {"data": str(tmp_path)},
        }
    )
    found = [(check.what, check.status) async for check in check_tools(settings)]
    assert found == [
        ("看图", "error"),
        ("MCP 服务器", "error"),
        ("MCP 服务器 home", "ok"),
        ("MCP 服务器 off", "error"),
    ]
    assert [check async for check in check_tools(Settings())] == []
    async with OpenAiServer(reply="红色") as server:
        settings = Settings.model_validate({"llm": {"vision": {"base_url": server.url, "model": "see"}}})
        assert [check.status async for check in check_tools(settings)] == ["ok"]
