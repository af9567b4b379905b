"""Speech from GPT-SoVITS servers: api.py (v1) and api_v2.py (v2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from xiaozhi_persona.checks import Check
from xiaozhi_persona.providers.tts.gpt_sovits.pool import addresses
from xiaozhi_persona.providers.tts.gpt_sovits.probe import seen_servers, written_addresses
from xiaozhi_persona.providers.tts.gpt_sovits.synthesizer import GptSovitsSynthesizer
from xiaozhi_persona.providers.tts.synthesizer import SeenServer, Synthesizer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings

__all__ = ["GptSovitsSynthesizer", "check", "look", "open_engine", "servers"]


def open_engine(settings: Settings) -> Synthesizer:
    """Return the synthesizer. Raises SettingsError for addresses and parameters that cannot be used."""
    return GptSovitsSynthesizer(settings.gpt_sovits, settings.data_dir / "cache" / "speech")


def takes_pace(settings: Settings) -> bool:
    """Both APIs take a speed with a sentence."""
    return True


def servers(settings: Settings) -> Mapping[str, Settings]:
    """Return for each address the settings with this one alone. Raises SettingsError for what is no address."""
    if not written_addresses(settings.gpt_sovits):
        return {}
    narrowed = {
        url: settings.gpt_sovits.model_copy(update={"servers": [url]})
        for url in addresses(settings.gpt_sovits)
    }
    return {url: settings.model_copy(update={"gpt_sovits": one}) for url, one in narrowed.items()}


async def look(settings: Settings) -> Sequence[SeenServer]:
    """Look at the servers; nothing is changed there."""
    return await seen_servers(settings.gpt_sovits)


def check(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """Check every server with every role, all servers at the same time.

    The first of `roles` comes last at each server, so that its weights are left there.
    """
    from xiaozhi_persona.providers.tts.gpt_sovits.checks import check_servers

    return check_servers(settings, roles)
