"""The recognizers: the table of them, what each of them has, and the one that the settings name.

A new one is a module with what `Engine` names, its name and its keys in the section `asr` of settings.py, and a line in
ENGINES.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Literal, Protocol, cast

from xiaozhi_persona.checks import Check
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.settings import Settings

ENGINES: Mapping[str, str] = {
    "funasr_onnx": "xiaozhi_persona.providers.asr.onnx_models",
    "funasr": "xiaozhi_persona.providers.asr.torch_models",
    "funasr_server": "xiaozhi_persona.providers.asr.funasr_server",
}
"""The module of each engine, by its name in `asr.engine`."""


class Engine(Protocol):
    """What the module of an engine holds."""

    PACKAGES: tuple[str, ...]
    """The optional packages that it needs, by their names for pip; the one that computes comes last."""
    NAMED_BY: Literal["model", "server_url"]
    """The setting of asr that says with what it recognizes."""

    def open_engine(self, settings: Settings, hotwords: tuple[str, ...]) -> Recognizer:
        """Return the recognizer, nothing asked and nothing loaded yet. Raises SettingsError."""
        ...

    def check(self, settings: Settings) -> AsyncIterator[Check]:
        """Yield what is right and wrong with the engine, each with its next step; nothing is downloaded."""
        ...


def engine_of(name: str) -> Engine:
    """Return the engine of that name, its module imported."""
    return cast(Engine, importlib.import_module(ENGINES[name]))


def open_recognizer(settings: Settings, hotwords: Iterable[str] = ()) -> Recognizer:
    """Return the recognizer, nothing loaded yet. `hotwords` come beside those of the settings.

    Raises SettingsError for settings that cannot be used.
    """
    texts = (*settings.asr.hotwords, *hotwords)
    words = tuple(dict.fromkeys(word for text in texts for word in text.split()))
    return engine_of(settings.asr.engine).open_engine(settings, words)
