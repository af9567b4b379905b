"""What `doctor` checks of GPT-SoVITS: addresses, API, weights, every reference clip, one sentence.

Each reference is tried by speaking a short sentence with it as a whole (api_v2.py tells the reason of a failure in
that mode only). Through our lock and no other: a bridge that speaks on the same server meanwhile is disturbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
import httpx
from anyio.streams.memory import MemoryObjectSendStream

from xiaozhi_persona.checks import Check, failed, grouped
from xiaozhi_persona.errors import PersonaError, ServiceError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import DOWN, WrongLength
from xiaozhi_persona.providers.tts.gpt_sovits.pool import ServerPool
from xiaozhi_persona.providers.tts.gpt_sovits.probe import (
    DEFAULT_PORT,
    Address,
    Found,
    look_at,
    written_addresses,
)
from xiaozhi_persona.providers.tts.gpt_sovits.reference_reasons import clip_name, length_reason, reason_of
from xiaozhi_persona.providers.tts.gpt_sovits.server import Server
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance, Weights, utterance_of
from xiaozhi_persona.providers.tts.gpt_sovits.weights import LOADING_TIMEOUT_S
from xiaozhi_persona.providers.tts.languages import short_sentence
from xiaozhi_persona.roles.clips import ClipChooser
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.roles.references import RoleClip
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.voice_parameters import read_parameters
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.voice_settings import GptSovitsSettings

PATIENCE_S = 30.0
"""How long one sentence may take here; longer than in a talk, to see the difference between slow and broken."""


async def check_servers(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """See check() of this engine."""
    written = written_addresses(settings.gpt_sovits)
    engine = settings.tts.engine
    is_used = engine == "gpt_sovits"
    if not written and not is_used and engine != "espeak":
        return
    if not written:
        found = tr("没有写服务器的地址")
        step = tr("在 gpt_sovits.servers 里写上，如 [http://192.168.1.9:9880]，并设 tts.engine: gpt_sovits。")
        yield Check("error" if is_used else "warning", "GPT-SoVITS", found, step)
        return
    if not is_used:
        step = tr("要用它说话，设 tts.engine: gpt_sovits。")
        yield Check(
            "warning", "GPT-SoVITS", tr("写了地址，但 tts.engine 是 {engine}，没有用它", engine=engine), step
        )
    sending, receiving = anyio.create_memory_object_stream[Check](0)

    async def look(place: Address, told: MemoryObjectSendStream[Check]) -> None:
        with told:
            async for check in _check_address(place, settings, roles):
                await told.send(check)

    with sending:
        looking = [
            asyncio.create_task(look(place, sending.clone()), name="doctor-server") for place in written
        ]
    try:
        with receiving:
            async for check in receiving:
                yield check
        await asyncio.gather(*looking)
    finally:
        for task in looking:
            await cancel_and_wait(task)


async def _check_address(place: Address, settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    sovits = settings.gpt_sovits
    if not place.url:
        yield failed(tr("地址 {written}", written=place.written), SettingsError(place.problem))
        return
    what = f"GPT-SoVITS {httpx.URL(place.url).netloc.decode('ascii')}"
    found = await look_at(place.url, sovits.connect_timeout_s)
    reached = await _reached(what, place, found, sovits)
    yield reached
    if reached.status == "error":
        return
    async with _one_server(place.url, sovits) as server:
        try:
            api = (await server.dialect(anyio.current_time() + PATIENCE_S)).api
        except ServiceError as exc:
            yield failed(what, exc)
            return
        unknown, works = server.weights.unknown(), True
        for role in reversed(roles):
            async for check in _check_role(server, role, found.url, api, sovits):
                yield dataclasses.replace(check, what=f"{what} {check.what}")
                works = works and check.status != "error"
            if server.last_failure:
                break
        bare = [role.id for role in roles if not all(dataclasses.astuple(_weights(role, sovits)))]
        if bare and api == "v2" and works:
            yield Check(
                "warning", tr("{what} 角色 {ids} 的权重", what=what, ids=tr("、").join(bare)), *unknown
            )
        changing = [role for role in roles if _weights(role, sovits) != Weights()]
        held = [role.id for role in changing if server.weights.has(_weights(role, sovits))]
    if changing:
        now = tr("现在是角色 {value} 的", value=held[0]) if held else tr("现在是哪些不清楚")
        step = tr(
            "本机的桥和小智服务端会自己设回来；别的机器上的、别的程序换了权重，这里不会知道，请给它们另开一台 GPT-SoVITS。"
        )
        yield Check("warning", what, tr("检查时换过权重，{now}", now=now), step)


async def _reached(what: str, place: Address, found: Found, sovits: GptSovitsSettings) -> Check:
    url = httpx.URL(place.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    wrong_path = await _root_behind(url, found, sovits)
    if wrong_path:
        step = tr("改成 {root}", root=_root(url))
        return Check(
            "error",
            what,
            tr(
                "地址多了 {path}，那里没有接口；去掉它就有 {wrong_path}", path=url.path, wrong_path=wrong_path
            ),
            step,
        )
    if found.state == "no_name":
        step = tr("检查拼写，或改写它的 IP，如 http://192.168.1.9:9880")
        return Check("error", what, tr("找不到主机 {host}", host=url.host), step)
    if found.state == "closed":
        return Check(
            "error",
            what,
            tr("{host} 的端口 {port} 没有程序在听", host=url.host, port=port),
            await _port_step(url, port, sovits),
        )
    if found.state == "unreachable":
        step = tr("看那台机器开着没有、地址对不对、防火墙是否放行；它启动要带 -a 0.0.0.0。")
        return Check("error", what, tr("连不上：{reason}", reason=found.reason), step)
    understood = (
        ""
        if place.written.strip() == place.url
        else tr("（写的是 {written}，当作 {url}）", written=place.written, url=place.url)
    )
    if found.state == "silent":
        step = tr("它可能正在说别的话，或者卡住了；看它窗口里的报错。")
        return Check(
            "warning",
            what,
            tr("接通了，但{reason}{understood}", reason=found.reason, understood=understood),
            step,
        )
    if not found.dialect:
        step = tr("应是 api.py 或 api_v2.py 的端口（默认 9880），不是网页界面的（9872、9874）。")
        return Check(
            "warning",
            what,
            tr("认不出是哪种接口：{reason}{understood}", reason=found.reason, understood=understood),
            step,
        )
    kind = {"v1": tr("api.py（v1）"), "v2": tr("api_v2.py（v2）"), "pack": tr("整合包（v2 的参数，在 /）")}[
        found.kind
    ]
    if sovits.api not in ("auto", found.dialect.api):
        step = tr("把 gpt_sovits.api 改成 auto 或 {api}。", api=found.dialect.api)
        return Check(
            "error", what, tr("它是 {kind}，而 gpt_sovits.api 是 {api}", kind=kind, api=sovits.api), step
        )
    chunks = "" if found.dialect.api == "v1" or found.dialect.knows_chunks else tr("，老版本，流式只能逐句")
    return Check("ok", what, f"{kind}{chunks}{understood}")


async def _root_behind(url: httpx.URL, found: Found, sovits: GptSovitsSettings) -> str:
    """Return the API at the root of the server where the address has a path under which there is none."""
    if found.state != "undescribed" or url.path in ("", "/"):
        return ""
    root = await look_at(_root(url), sovits.connect_timeout_s)
    return {"v1": "api.py", "v2": "api_v2.py", "pack": "api_v2.py"}.get(root.kind, "")


async def _port_step(url: httpx.URL, port: int, sovits: GptSovitsSettings) -> str:
    start = tr(
        "启动它：python api_v2.py -a 0.0.0.0 -p {port}（或 api.py，两者的默认端口都是 {DEFAULT_PORT}）。",
        port=port,
        DEFAULT_PORT=DEFAULT_PORT,
    )
    if port != DEFAULT_PORT:
        other = await look_at(str(url.copy_with(port=DEFAULT_PORT)).rstrip("/"), sovits.connect_timeout_s)
        if other.kind:
            return tr(
                "同一台机器的 {DEFAULT_PORT} 上有一个：把地址的端口改成 {DEFAULT_PORT}。",
                DEFAULT_PORT=DEFAULT_PORT,
            )
    if url.host in ("127.0.0.1", "localhost") and _is_container():
        return tr(
            "这里是容器，{host} 是容器自己：改写主机的 IP 或 host.docker.internal。否则{start}",
            host=url.host,
            start=start,
        )
    return start


@contextlib.asynccontextmanager
async def _one_server(url: str, sovits: GptSovitsSettings) -> AsyncIterator[Server]:
    changes = {"servers": [url], "first_audio_timeout_s": PATIENCE_S}
    pool = ServerPool(sovits.model_copy(update=changes))
    try:
        yield pool.servers[0]
    finally:
        await pool.aclose()


async def _check_role(
    server: Server, role: Role, url: str, api: str, sovits: GptSovitsSettings
) -> AsyncIterator[Check]:
    """Yield what is wrong with a role at a server, and the time of one sentence."""
    what = tr("角色 {id}", id=role.id)
    try:
        defaults = read_parameters(sovits.parameters, "gpt_sovits.parameters")
        language = language_code(role.voice.language) or defaults.get("text_lang", "zh")
        sentence = short_sentence(language)
        clips: list[RoleClip | None] = [*{clip.reference.path: clip for clip in role.clips}.values()]
        utterances = [(clip, _utterance(sentence, clip, role, sovits, defaults)) for clip in clips or [None]]
        deadline = anyio.current_time() + LOADING_TIMEOUT_S
        await server.weights.ensure(_weights(role, sovits), await server.dialect(deadline), deadline)
    except PersonaError as exc:
        if isinstance(exc, DOWN):
            server.last_failure = exc
        yield failed(
            tr("{what} 的设置", what=what)
            if isinstance(exc, SettingsError)
            else tr("{what} 的权重", what=what),
            exc,
        )
        return
    good: set[str] = set()
    bad: list[tuple[str, str, str]] = []
    for clip, utterance in utterances:
        name = clip_name(clip, role) if clip else utterance.ref_audio_path or tr("（没有）")
        if unfit := length_reason(clip, role, api):
            bad.append((name, *unfit))
            continue
        problem = await _try(server, dataclasses.replace(utterance, streaming_mode=0))
        if isinstance(problem, DOWN):
            server.last_failure = problem
            yield failed(what, problem)
            return
        if problem is None or isinstance(problem, WrongLength):
            good.add(utterance.ref_audio_path)
        else:
            bad.append((name, *reason_of(problem, clip, utterance, role, url, api)))
    for told, step in grouped(bad):
        yield Check("error", tr("{what} 参考音频", what=what), told, step)
    if good and role.clips:
        yield Check(
            "ok", what, tr("{count} 段参考音频能用", count=len(good)) + ("" if bad else tr("，没有不能用的"))
        )
    utterance = utterance_of(sentence, ClipChooser(role, reply=0).clip(None), sovits, defaults)
    if utterance.ref_audio_path in good:
        yield await _timed(server, utterance, what, sovits)


def _weights(role: Role, sovits: GptSovitsSettings) -> Weights:
    return Weights(
        role.voice.weights.get("gpt") or sovits.gpt_weights,
        role.voice.weights.get("sovits") or sovits.sovits_weights,
    )


def _utterance(
    sentence: str,
    clip: RoleClip | None,
    role: Role,
    sovits: GptSovitsSettings,
    defaults: Mapping[str, Any],
) -> Utterance:
    reference = clip.reference if clip else None
    return utterance_of(sentence, Clip(reference=reference, voice=role.voice), sovits, defaults)


async def _try(server: Server, utterance: Utterance) -> ServiceError | None:
    """Speak and throw the sound away; return what went wrong."""
    try:
        async for _ in server.speak(utterance, anyio.current_time() + PATIENCE_S):
            pass
    except ServiceError as exc:
        return exc
    return None


async def _timed(server: Server, utterance: Utterance, what: str, sovits: GptSovitsSettings) -> Check:
    began, first_s, seconds = anyio.current_time(), 0.0, 0.0
    try:
        async for chunk in server.speak(utterance, began + PATIENCE_S):
            first_s = first_s or anyio.current_time() - began
            seconds += len(chunk.samples) / chunk.sample_rate_hz
    except ServiceError as exc:
        return failed(tr("{what} 说一句", what=what), exc)
    factor = (anyio.current_time() - began) / seconds
    found = tr(
        "{first_s:.2f} 秒出声，{seconds:.1f} 秒的话用了 {value:.1f} 秒（实时率 {factor:.2f}）",
        first_s=first_s,
        seconds=seconds,
        value=factor * seconds,
        factor=factor,
    )
    if first_s > sovits.first_audio_timeout_s:
        step = tr("调大 gpt_sovits.first_audio_timeout_s，不然这样的句子由备用的声音来说。")
        return Check("warning", tr("{what} 说一句", what=what), found, step)
    if factor > 1:
        step = tr("说得比听得慢，会断断续续：换快一些的显卡，或设 gpt_sovits.streaming_mode: fast。")
        return Check("warning", tr("{what} 说一句", what=what), found, step)
    return Check("ok", tr("{what} 说一句", what=what), found)


def _root(url: httpx.URL) -> str:
    return str(url.copy_with(path="/")).rstrip("/")


def _is_container() -> bool:
    return os.path.exists("/.dockerenv")
