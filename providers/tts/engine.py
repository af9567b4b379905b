"""The synthesizers: what each of them is, the table of them, and the one that the settings name.

A new one is a module with what `Engine` asks for, its section in settings.py under its name, and a line in ENGINES.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, cast

from xiaozhi_persona.checks import Check
from xiaozhi_persona.providers.tts.fallback import FallbackSynthesizer
from xiaozhi_persona.providers.tts.synthesizer import SeenServer, Synthesizer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings

ENGINES: Mapping[str, str] = {
    "espeak": "xiaozhi_persona.providers.tts.espeak",
    "gpt_sovits": "xiaozhi_persona.providers.tts.gpt_sovits",
    "openai_speech": "xiaozhi_persona.providers.tts.openai_speech",
    "xtts": "xiaozhi_persona.providers.tts.xtts",
}
"""The module of each engine, by its name in `tts.engine`."""

EMBEDDED = "espeak"
"""The one that needs no server and no settings."""


class Engine(Protocol):
    """What the module of an engine holds."""

    def open_engine(self, settings: Settings) -> Synthesizer:
        """Return the synthesizer, nothing asked and nothing loaded yet. Raises SettingsError."""
        ...

    def takes_pace(self, settings: Settings) -> bool:
        """Whether the speed of a sentence changes its sound."""
        ...

    def servers(self, settings: Settings) -> Mapping[str, Settings]:
        """Return for each server that is set up for the engine the settings with this one alone, by its address."""
        ...

    async def look(self, settings: Settings) -> Sequence[SeenServer]:
        """Look at the servers that are set up for the engine; nothing is changed there."""
        ...

    def check(self, settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
        """Yield what is right and wrong with the engine, and with each role at it, each with its next step.

        Of an engine that the settings neither choose nor set up nothing is said.
        """
        ...


def engine_of(name: str) -> Engine:
    """Return the engine of that name, its module imported."""
    return cast(Engine, importlib.import_module(ENGINES[name]))


def takes_pace(settings: Settings) -> bool:
    """Return whether the voice that the settings name can be made faster and slower."""
    return engine_of(settings.tts.engine).takes_pace(settings)


def open_synthesizer(settings: Settings) -> Synthesizer:
    """Return the synthesizer that the settings name, with its fallback where they have one.

    Raises SettingsError for addresses and parameters that cannot be used.
    """
    names = dict.fromkeys([settings.tts.engine, settings.tts.fallback])
    first, *others = [engine_of(name).open_engine(settings) for name in names if name != "none"]
    return FallbackSynthesizer(first, *others) if others else first
