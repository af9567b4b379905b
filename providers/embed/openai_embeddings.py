"""Embeddings behind an OpenAI-compatible interface: POST /embeddings, as Ollama, Xinference and LM Studio have it."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import (
    ServiceError,
    ServiceRejected,
    ServiceUnavailable,
    SettingsError,
    first_line,
)
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.local_hosts import is_local
from xiaozhi_persona.providers.sendable import sendable_key
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder

_TIMEOUT_S = 10.0


class OpenAiEmbedder:
    """An Embedder."""

    def __init__(self, base_url: str, model: str, api_key: str) -> None:
        """Raises SettingsError for an address or a key that cannot be sent."""
        self.name = f"openai {base_url} {model}"
        self._model = model
        try:
            url = httpx.URL(base_url.rstrip("/") + "/embeddings")
        except httpx.InvalidURL as exc:
            raise SettingsError(tr("memory.embedder_url {url} 不是地址。", url=base_url)) from exc
        if url.scheme not in ("http", "https") or not url.host:
            raise SettingsError(tr("memory.embedder_url {url} 应以 http:// 或 https:// 开头。", url=base_url))
        api_key = sendable_key("memory.embedder_key", api_key)
        self._url = url
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=_TIMEOUT_S, headers=headers, trust_env=not is_local(url.host))

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector for each text that may be found. Raises ServiceError."""
        return self._embedded(list(texts))

    def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question. Raises ServiceError."""
        vector: NDArray[np.float32] = self._embedded([text])[0]
        return vector

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _embedded(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            response = self._client.post(self._url, json={"model": self._model, "input": texts})
        except (httpx.HTTPError, RuntimeError) as exc:
            raise ServiceUnavailable(
                tr(
                    "连不上 memory.embedder_url {url}（{why}）。检查地址和服务；想不用就把 memory.embedder 设为 off。",
                    url=self._url,
                    why=first_line(exc),
                )
            ) from exc
        if response.status_code != 200:
            kind: type[ServiceError] = ServiceUnavailable if response.status_code >= 500 else ServiceRejected
            raise kind(
                tr(
                    "{url} 不给向量（HTTP {status}：{why}）。检查 memory.embedder_model 和 memory.embedder_key。",
                    url=self._url,
                    status=response.status_code,
                    why=response.text[:200],
                )
            )
        try:
            data = sorted(response.json()["data"], key=lambda one: one.get("index", 0))
            vectors = np.array([one["embedding"] for one in data], np.float32)
            if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
                raise ValueError(f"{vectors.shape} of {len(texts)}")
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ServiceRejected(
                tr(
                    "{url} 的回答不是向量（{why}）。确认它是 OpenAI 兼容的 /v1/embeddings 接口。",
                    url=self._url,
                    why=first_line(exc),
                )
            ) from exc
        return vectors


def open_engine(settings: MemorySettings) -> Embedder:
    """Return the embedder; nothing is asked yet. Raises SettingsError."""
    if not settings.embedder_url or not settings.embedder_model:
        raise SettingsError(
            tr(
                "memory.embedder 为 openai 时，memory.embedder_url 写 /v1 的地址，memory.embedder_model 写模型名。"
            )
        )
    return OpenAiEmbedder(settings.embedder_url, settings.embedder_model, settings.embedder_key.strip())
