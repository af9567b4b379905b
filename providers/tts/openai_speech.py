"""Speech from servers behind OpenAI's API, and from coqui-tts's own.

API: https://platform.openai.com/docs/api-reference/audio/createSpeech; coqui-tts 0.28, TTS/server/server.py. The latter
serves XTTS under both: /v1/audio/speech takes a path for `voice`, and speaks the one language given at its start;
/api/tts takes language_id and speaker_wav with each sentence. Neither streams there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import httpx

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.sendable import check_sendable, sendable_key
from xiaozhi_persona.providers.tts import server_checks
from xiaozhi_persona.providers.tts.failures import ServerFailures
from xiaozhi_persona.providers.tts.http_synthesizer import (
    HttpSynthesizer,
    Look,
    SpeechRequest,
    server_url,
    voice_of,
)
from xiaozhi_persona.providers.tts.languages import short_sentence, xtts_language
from xiaozhi_persona.providers.tts.synthesizer import SeenServer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip
from xiaozhi_persona.voice_settings import OpenAiSpeechSettings

_COQUI_NAME = "coqui-tts"
_SPEECH = "/audio/speech"
_COQUI = "/api/tts"


def open_engine(settings: Settings) -> HttpSynthesizer:
    """Return the synthesizer. Raises SettingsError for an address, a key or parameters that cannot be sent."""
    section = settings.openai_speech
    key = sendable_key("openai_speech.api_key", section.api_key)
    check_sendable("openai_speech.extra_body", section.extra_body)
    url = coqui_url(section.base_url) if section.api == "coqui" else speech_url(section.base_url)

    def request_of(text: str, clip: Clip) -> SpeechRequest:
        return (coqui_request if section.api == "coqui" else openai_request)(section, url, text, clip)

    return HttpSynthesizer(
        section,
        url,
        request_of,
        ServerFailures("openai_speech", url.netloc.decode("ascii"), key),
        _COQUI_NAME if section.api == "coqui" else tr("OpenAI 语音接口"),
        settings.data_dir / "cache" / "speech",
    )


def openai_request(section: OpenAiSpeechSettings, url: httpx.URL, text: str, clip: Clip) -> SpeechRequest:
    """Return the request of POST /v1/audio/speech; extra_body may set anything but the text."""
    voice, reference = voice_of(section.voice, section.cloning, clip)
    named = {"model": section.model, "voice": voice}
    body = {
        **{name: value for name, value in named.items() if value},
        "response_format": section.response_format,
        "speed": round(clip.speed, 4),
        **section.extra_body,
        "input": text,
    }
    return SpeechRequest(
        "POST",
        url,
        json=body,
        headers=_authorization(section),
        raw_rate_hz=section.pcm_rate_hz if body["response_format"] == "pcm" else 0,
        reference=reference,
    )


def coqui_request(section: OpenAiSpeechSettings, url: httpx.URL, text: str, clip: Clip) -> SpeechRequest:
    """Return the request of POST /api/tts, a form.

    An empty speaker_id is sent with a recording: left out, the speaker given at the server's start would hold.
    """
    voice, reference = voice_of(section.voice, section.cloning, clip)
    speaker = (
        {"speaker_wav": voice, "speaker_id": ""} if reference else {"speaker_id": voice} if voice else {}
    )
    extra = {name: str(value) for name, value in section.extra_body.items()}
    language = xtts_language(clip.voice.language, text)
    return SpeechRequest(
        "POST", url, form={"language_id": language, **speaker, **extra, "text": text}, reference=reference
    )


def speech_url(base_url: str) -> httpx.URL:
    """Return the address to post to, for a base address as users write it. Raises SettingsError."""
    url = server_url(base_url, "openai_speech.base_url")
    path = "/v1" if url.path == "/" else url.path
    return url.copy_with(path=path if path.endswith(_SPEECH) else path + _SPEECH)


def coqui_url(base_url: str) -> httpx.URL:
    """Return the address of /api/tts, for that of the server or of its /v1. Raises SettingsError."""
    url = server_url(base_url, "openai_speech.base_url")
    path = url.path.removesuffix(_COQUI).removesuffix(_SPEECH).removesuffix("/v1").rstrip("/")
    return url.copy_with(path=path + _COQUI)


async def look(settings: Settings) -> Sequence[SeenServer]:
    """Look at the server; nothing is changed there."""
    return await server_checks.look(settings, "openai_speech", open_engine, _recognize)


def takes_pace(settings: Settings) -> bool:
    """OpenAI's API takes a speed with a sentence, which some servers ignore; coqui-tts's own takes none."""
    return settings.openai_speech.api != "coqui"


def servers(settings: Settings) -> Mapping[str, Settings]:
    """Return the settings by the server's address. Raises SettingsError for what is no address."""
    return server_checks.servers(settings, "openai_speech")


def check(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """Look at the server, and speak a short sentence with each voice and recording of the roles."""
    return server_checks.check(settings, roles, "openai_speech", open_engine, _recognize, _oddities)


async def _recognize(engine: HttpSynthesizer, settings: Settings) -> tuple[Look, str]:
    section = settings.openai_speech
    coqui = coqui_url(section.base_url)
    page = await engine.look(coqui.copy_with(path=coqui.path.removesuffix(_COQUI) or "/"))
    if page.failure or b"Coqui TTS" in page.body:
        return page, "" if page.failure else _COQUI_NAME
    speech = speech_url(section.base_url)
    models = speech.copy_with(path=speech.path.removesuffix(_SPEECH) + "/models")
    found = await engine.look(models, _authorization(section))
    return found, _models(found)


def _oddities(kind: str, settings: Settings, roles: Sequence[Role]) -> Iterator[Check]:
    section = settings.openai_speech
    is_coqui = kind == _COQUI_NAME
    if section.api == "coqui" and not is_coqui:
        step = tr("它不是 coqui-tts 的服务器时，把 openai_speech.api 改成 openai。")
        yield Check("warning", section.base_url, tr("认不出是 coqui-tts"), step)
    if section.api == "openai" and is_coqui:
        for role in roles:
            if (language := _xtts_language_of(role)) not in ("", "en"):
                found = tr(
                    "coqui-tts 的 /v1 只说启动时的语言，默认是 en，而角色说 {language}", language=language
                )
                step = tr(
                    "启动它时写上 --language_idx {language}，或把 openai_speech.api 改成 coqui。",
                    language=language,
                )
                yield Check("warning", tr("角色 {id}", id=role.id), found, step)


def _xtts_language_of(role: Role) -> str:
    """Return the code of the role's language, "" for one that XTTS does not speak."""
    try:
        return xtts_language(role.voice.language, short_sentence(role.voice.language))
    except SettingsError:
        return ""


def _models(look: Look) -> str:
    models = look.json.get("data")
    names = (
        [str(model.get("id")) for model in models if isinstance(model, dict)]
        if isinstance(models, list)
        else []
    )
    return tr("有模型 {names}", names=tr("、").join(names[:5])) if names else ""


def _authorization(section: OpenAiSpeechSettings) -> dict[str, str]:
    key = section.api_key.strip()
    return {"Authorization": f"Bearer {key}"} if key else {}
