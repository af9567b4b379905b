"""What is seen of a synthesizer's HTTP server, and what `doctor` checks of it, whatever its API.

An engine adds how its server is recognized, and what may be odd about it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

import anyio

from xiaozhi_persona.checks import Check, failed, grouped
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import DOWN, Unreachable
from xiaozhi_persona.providers.tts.http_synthesizer import HttpSynthesizer, Look, server_url
from xiaozhi_persona.providers.tts.languages import short_sentence
from xiaozhi_persona.providers.tts.synthesizer import SeenServer
from xiaozhi_persona.roles.clips import ClipChooser
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip
from xiaozhi_persona.voice_settings import HttpSpeechSettings

PATIENCE_S = 30.0
"""How long one sentence may take here; longer than in a talk, to see the difference between slow and broken."""

MOST_VOICES = 24
"""Tried for each role: some servers are paid by the sentence."""

Opener = Callable[[Settings], HttpSynthesizer]
Recognizer = Callable[[HttpSynthesizer, Settings], Awaitable[tuple[Look, str]]]
"""Returns what stands at the server's address, and what the server is; "" where it is not recognized."""
Oddities = Callable[[str, Settings, Sequence[Role]], Iterator[Check]]
"""Yields what is odd about a server that is reached and was recognized as the first argument says."""


def servers(settings: Settings, name: str) -> Mapping[str, Settings]:
    """Return the settings by the address of the one server. Raises SettingsError for what is no address."""
    written = _section(settings, name).base_url
    return {str(server_url(written, f"{name}.base_url")).rstrip("/"): settings} if written.strip() else {}


async def look(settings: Settings, name: str, opener: Opener, recognize: Recognizer) -> Sequence[SeenServer]:
    """Return what is seen of the server, where there is one in the settings."""
    written = _section(settings, name).base_url
    if not written.strip():
        return []
    try:
        engine = opener(settings)
    except SettingsError as exc:
        return [SeenServer(written, is_reached=False, kind="", failure=str(exc))]
    async with contextlib.aclosing(engine):
        found, kind = await recognize(engine, settings)
    is_reached = not isinstance(found.failure, Unreachable)
    failure = str(found.failure or "")
    return [SeenServer(engine.address, is_reached, kind, facts={"api": name}, failure=failure)]


async def check(
    settings: Settings,
    roles: Sequence[Role],
    name: str,
    opener: Opener,
    recognize: Recognizer,
    oddities: Oddities,
) -> AsyncIterator[Check]:
    """Look at the server, and speak a short sentence with each voice and recording of the roles."""
    is_used = settings.tts.engine == name
    section = _section(settings, name)
    if not is_used and not section.base_url.strip():
        return
    patient = section.model_copy(update={"first_audio_timeout_s": PATIENCE_S})
    try:
        engine = opener(settings.model_copy(update={name: patient}))
    except SettingsError as exc:
        yield failed(name, exc)
        return
    async with contextlib.aclosing(engine):
        if not is_used:
            unused = tr("写了地址，但 tts.engine 是 {engine}，没有用它", engine=settings.tts.engine)
            yield Check("warning", engine.name, unused, tr("要用它说话，设 tts.engine: {name}。", name=name))
            return
        found, kind = await recognize(engine, settings)
        reached = _reached(engine, found, kind)
        yield reached
        if reached.status == "error":
            return
        for odd in oddities(kind, settings, roles):
            yield odd
        async for told in _voices(engine, roles, settings, name):
            yield told


def _section(settings: Settings, name: str) -> HttpSpeechSettings:
    section = getattr(settings, name)
    assert isinstance(section, HttpSpeechSettings)
    return section


def _reached(engine: HttpSynthesizer, found: Look, kind: str) -> Check:
    if found.failure:
        is_gone = isinstance(found.failure, Unreachable)
        return failed(engine.name, found.failure, "error" if is_gone else "warning")
    if found.status in (401, 403, 407):
        return failed(engine.name, engine.failures.refusal(found.status, found.body))
    return Check("ok", engine.name, kind or tr("接通了"))


async def _voices(
    engine: HttpSynthesizer, roles: Sequence[Role], settings: Settings, name: str
) -> AsyncIterator[Check]:
    """Yield for each role the time of its first voice, and which of its voices and recordings do not work."""
    for role in roles:
        what = tr("角色 {id}", id=role.id)
        sentence = short_sentence(role.voice.language)
        good, bad = 0, []
        asked_for: set[str] = set()
        for feeling, clip in _clips(role, sentence):
            try:
                key = repr(engine.request_of(sentence, clip))
                if key in asked_for or len(asked_for) >= MOST_VOICES:
                    continue
                asked_for.add(key)
                timing = await _timed(engine, sentence, clip, what, settings, name)
            except PersonaError as exc:
                problem = failed(what, exc)
                if isinstance(exc, DOWN):
                    yield problem
                    return
                bad.append((feeling, problem.found, problem.step))
                continue
            good += 1
            if good == 1:
                yield timing
        for told, step in grouped(bad):
            yield Check("error", tr("{what} 的声音", what=what), told, step)
        if good > 1:
            yield Check("ok", tr("{what} 的声音", what=what), tr("{count} 个能用", count=good))


def _clips(role: Role, sentence: str) -> Iterator[tuple[str, Clip]]:
    """Yield how the role may sound, by the name of the feeling; the default first."""
    chooser = ClipChooser(role, reply=0)
    yield tr("默认"), chooser.clip(None, sentence)
    for clip in role.clips:
        yield clip.name or tr("默认"), Clip(reference=clip.reference, voice=role.voice_for(clip.emotion))
    for name in role.sheet.voices:
        yield name, chooser.clip(role.emotion_names.get(name), sentence)


async def _timed(
    engine: HttpSynthesizer, sentence: str, clip: Clip, what: str, settings: Settings, name: str
) -> Check:
    began, first_s, seconds = anyio.current_time(), 0.0, 0.0
    async with contextlib.aclosing(engine.synthesize(sentence, clip)) as sound:
        async for chunk in sound:
            first_s = first_s or anyio.current_time() - began
            seconds += len(chunk.samples) / chunk.sample_rate_hz
    factor = (anyio.current_time() - began) / seconds
    said = tr("{what} 说一句", what=what)
    found = tr(
        "{first_s:.2f} 秒出声，{seconds:.1f} 秒的话用了 {value:.1f} 秒（实时率 {factor:.2f}）",
        first_s=first_s,
        seconds=seconds,
        value=factor * seconds,
        factor=factor,
    )
    if first_s > _section(settings, name).first_audio_timeout_s:
        step = tr("调大 {name}.first_audio_timeout_s，不然这样的句子由备用的声音来说。", name=name)
        return Check("warning", said, found, step)
    if factor > 1:
        return Check("warning", said, found, tr("说得比听得慢，会断断续续：换快一些的显卡，或更小的模型。"))
    return Check("ok", said, found)
