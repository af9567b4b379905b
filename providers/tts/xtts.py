"""Speech from xtts-api-server: XTTS with a recording, or one of the server's own speakers, for each sentence.

API: xtts-api-server 0.9, server.py. GET /tts_stream begins a success before it looks for the speaker, so that a wrong
one shows as a body that ends without sound. It splits a long text itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import httpx

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.tts import server_checks
from xiaozhi_persona.providers.tts.failures import ServerFailures
from xiaozhi_persona.providers.tts.http_synthesizer import (
    HttpSynthesizer,
    Look,
    SpeechRequest,
    server_url,
    voice_of,
)
from xiaozhi_persona.providers.tts.languages import xtts_language
from xiaozhi_persona.providers.tts.synthesizer import SeenServer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip
from xiaozhi_persona.voice_settings import XttsSettings

_STREAM = "/tts_stream"

_NO_SPEAKER = later(
    "多半是 speakers 文件夹里没有这个声音，或参考音频不在服务器那台机器上、不是 .wav；"
    "启动它不要带 --streaming-mode。看它窗口里的报错。"
)


def open_engine(settings: Settings) -> HttpSynthesizer:
    """Return the synthesizer. Raises SettingsError for an address that is none."""
    section = settings.xtts
    url = stream_url(section.base_url)

    def request_of(text: str, clip: Clip) -> SpeechRequest:
        return stream_request(section, url, text, clip)

    return HttpSynthesizer(
        section,
        url,
        request_of,
        ServerFailures("xtts", url.netloc.decode("ascii"), cut_off_advice=_NO_SPEAKER),
        "XTTS",
        settings.data_dir / "cache" / "speech",
    )


def stream_request(section: XttsSettings, url: httpx.URL, text: str, clip: Clip) -> SpeechRequest:
    """Return the request of GET /tts_stream. Raises SettingsError without a voice, which the server must be told."""
    voice, reference = voice_of(section.voice, section.cloning, clip)
    if not voice:
        raise SettingsError(
            tr(
                "XTTS 要有声音：给角色放上参考音频，或写 xtts.voice 或角色的 voice，是它 speakers 文件夹里的名字。"
            )
        )
    query = {"text": text, "speaker_wav": voice, "language": xtts_language(clip.voice.language, text)}
    return SpeechRequest("GET", url, params=query, reference=reference)


def stream_url(base_url: str) -> httpx.URL:
    """Return the address of /tts_stream, for that of the server or of one of its endpoints. Raises SettingsError."""
    url = server_url(base_url, "xtts.base_url")
    path = url.path.removesuffix(_STREAM).removesuffix("/tts_to_audio").rstrip("/")
    return url.copy_with(path=path + _STREAM)


async def look(settings: Settings) -> Sequence[SeenServer]:
    """Look at the server; nothing is changed there."""
    return await server_checks.look(settings, "xtts", open_engine, _recognize)


def takes_pace(settings: Settings) -> bool:
    """Its server takes a speed for all that it says, not with a sentence."""
    return False


def servers(settings: Settings) -> Mapping[str, Settings]:
    """Return the settings by the server's address. Raises SettingsError for what is no address."""
    return server_checks.servers(settings, "xtts")


def check(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """Look at the server, and speak a short sentence with each voice and recording of the roles."""
    return server_checks.check(settings, roles, "xtts", open_engine, _recognize, _oddities)


async def _recognize(engine: HttpSynthesizer, settings: Settings) -> tuple[Look, str]:
    url = stream_url(settings.xtts.base_url)
    found = await engine.look(url.copy_with(path=url.path.removesuffix(_STREAM) + "/languages"))
    languages = found.json.get("languages")
    if not isinstance(languages, dict):
        return found, ""
    return found, tr("xtts-api-server，会 {count} 种语言", count=len(languages))


def _oddities(kind: str, settings: Settings, roles: Sequence[Role]) -> Iterator[Check]:
    if not kind:
        step = tr("应是 xtts-api-server 的端口，默认 8020。coqui-tts 的服务器用 tts.engine: openai_speech。")
        yield Check("warning", settings.xtts.base_url, tr("认不出是 xtts-api-server"), step)
