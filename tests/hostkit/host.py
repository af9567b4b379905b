"""What a test starts, whichever host it is: settings, files, the model, devices."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import yaml

from hostkit.device import Device
from hostkit.device_tools import DeviceTools
from hostkit.llm import Llm

KIT_VERSIONS = ("0.9.1", "0.9.3", "0.9.6", "main")
_HERE = Path(__file__).parent
_TEMPLATE = "data/hostkit-prompt.txt"


class HostUnderTest(Protocol):
    """A host that runs."""

    real: bool
    version: str
    folder: Path
    """Its server folder: the working directory of the host."""
    llm: Llm

    @property
    def url(self) -> str: ...

    @property
    def connections(self) -> list[Any]:
        """The ConnectionHandler of each connection so far; empty with the real host."""

    @property
    def reports(self) -> list[Any]:
        """What would be sent to the console: kind, device id, text, packets; empty with the real host."""

    def log(self) -> str:
        """What the host has logged so far."""

    def connect(
        self,
        device_id: str = "aa:bb:cc:00:00:01",
        features: dict[str, Any] | None = None,
        tools: DeviceTools | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Device]:
        """Connect a device; the connection's parts have been set up, or have failed to be."""


def real_folder() -> Path | None:
    """The checkout that the tests are to run in."""
    folder = os.environ.get("XIAOZHI_SERVER_DIR", "")
    return Path(folder) if folder else None


def _versions() -> tuple[str, ...]:
    folder = real_folder()
    if folder is None:
        return KIT_VERSIONS
    from hostkit.real import version_of

    return (version_of(folder),)


VERSIONS = _versions()


@contextlib.asynccontextmanager
async def host(
    version: str,
    folder: Path,
    *,
    tts: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    llm: Llm | None = None,
    config: Mapping[str, Any] | None = None,
    prepare: Callable[[Path], object] | None = None,
    asr_text: str = "你好",
) -> AsyncIterator[HostUnderTest]:
    """Start a host below `folder`, and end it with the block.

    `tts` is the section of the TTS provider, `files` are written below the server folder by their paths there,
    `config` is merged over the rest of data/.config.yaml, `prepare` gets the server folder last of all. `asr_text`
    is what the recognizer hears; a JSON object for one that returns more than the text.
    """
    checkout = real_folder()
    if checkout is None:
        from hostkit.kit import start, unpack
    else:
        from hostkit.real import start, unpack
    async with llm or Llm() as model:
        server = folder / "xiaozhi-server"
        unpack(server, version)
        shutil.copytree(
            _HERE / "both", server, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        settings = _merge(_settings(tts, model.port, asr_text), config or {})
        template = "{{base_prompt}}\n<memory>\n</memory>\n"
        for path, text in {_TEMPLATE: template, **(files or {})}.items():
            (server / path).parent.mkdir(parents=True, exist_ok=True)
            (server / path).write_text(text, encoding="utf-8")
        (server / "data/.config.yaml").write_text(
            yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8"
        )
        if prepare is not None:
            prepare(server)
        async with start(server, version, model) as running:
            yield running


def _settings(tts: Mapping[str, Any], llm_port: int, asr_text: str) -> dict[str, Any]:
    return {
        "server": {"ip": "127.0.0.1", "port": _free_port(), "http_port": _free_port(), "auth_key": "hostkit"},
        "log": {"log_level": "DEBUG", "log_format": "{time:HH:mm:ss.SSS} [{extra[tag]}] {level} {message}"},
        "prompt": "你是测试用的语音助手。",
        "prompt_template": _TEMPLATE,
        "selected_module": {
            "VAD": "HostkitVad",
            "ASR": "HostkitAsr",
            "LLM": "HostkitLlm",
            "VLLM": "ChatGLMVLLM",
            "TTS": "HostkitTts",
            "Memory": "nomem",
            "Intent": "nointent",
        },
        "VAD": {"HostkitVad": {"type": "hostkit_vad"}},
        "ASR": {"HostkitAsr": {"type": "hostkit_asr", "output_dir": "tmp/", "text": asr_text}},
        "LLM": {"HostkitLlm": {"type": "hostkit_llm", "port": llm_port}},
        "TTS": {"HostkitTts": {"output_dir": "tmp/", **tts}},
    }


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merge(base[key], value) if both else value
    return merged
