"""Speech from GPT-SoVITS servers: api.py (v1) and api_v2.py (v2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from xiaozhi_persona.checks import Check
from xiaozhi_persona.providers.tts.gpt_sovits.synthesizer import GptSovitsSynthesizer
from xiaozhi_persona.providers.tts.synthesizer import Synthesizer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings

__all__ = ["GptSovitsSynthesizer", "check", "open_engine"]


def open_engine(settings: Settings) -> Synthesizer:
    """Return the synthesizer. Raises SettingsError for addresses and parameters that cannot be used."""
    return GptSovitsSynthesizer(settings.gpt_sovits, settings.data_dir / "cache" / "speech")


def check(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """Check every server with every role, all servers at the same time.

    The first of `roles` comes last at each server, so that its weights are left there.
    """
    from xiaozhi_persona.providers.tts.gpt_sovits.checks import check_servers

    return check_servers(settings, roles)
