"""The model files that one server holds, and their change.

No server tells what it holds. Known is what was set from here, as long as the process there is the same (watch.py) and
no other program of this machine has set others (held_note.py); then it is set again before the next sentence. api_v2.py
writes them into its own settings, so those of the last role outlive its process. A change goes on in a task of its own when the sentence that asked for it has given up: the server loads on anyway, and
the next sentence finds the voice ready. While it goes on nothing may be asked of the server.
"""

from __future__ import annotations

import asyncio
import logging

import anyio
import httpx

from xiaozhi_persona.errors import ServiceError, ServiceRejected, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect
from xiaozhi_persona.providers.tts.gpt_sovits.failures import connection_failure, failure_of
from xiaozhi_persona.providers.tts.gpt_sovits.held_note import HeldNote
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Weights
from xiaozhi_persona.providers.tts.gpt_sovits.watch import ServerWatch
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.voice_settings import GptSovitsSettings

_log = logging.getLogger(__name__)

LOADING_TIMEOUT_S = 90.0
"""How long the server may take to load one file."""


class HeldWeights:
    """What weights a server holds, as far as we know: only what was set from here."""

    def __init__(
        self,
        url: str,
        place: str,
        client: httpx.AsyncClient,
        settings: GptSovitsSettings,
    ) -> None:
        self._url = url
        self._place = place
        self._client = client
        self._settings = settings
        self._default = Weights(settings.gpt_weights, settings.sovits_weights)
        self._gpt: str | None = None
        self._sovits: str | None = None
        self._left = Weights()
        """What was set last, by us or by another program of this machine, and may be there still."""
        self._watch = ServerWatch(url)
        self._note = HeldNote(place)
        self._is_warned = False
        self._refused: dict[Weights, tuple[ServiceError, float]] = {}
        self._change: asyncio.Task[ServiceError | None] | None = None
        self._changing_to = Weights()

    def has(self, wanted: Weights) -> bool:
        """Return whether a voice with these weights can speak without a change."""
        if self._watch.has_ended and wanted != Weights():
            return False
        return wanted.gpt in ("", self._gpt) and wanted.sovits in ("", self._sovits)

    def forget(self) -> None:
        """The server may have been started anew: nothing is certain."""
        self._left = Weights(self._gpt or self._left.gpt, self._sovits or self._left.sovits)
        self._gpt = self._sovits = None

    async def ensure(self, wanted: Weights, dialect: Dialect, deadline: float) -> None:
        """Return when the server holds `wanted`; "" takes what is there, unless another role put it there.

        Raises ServiceTimeout at the deadline, after which the change goes on; ServiceRejected for files that the server
        cannot load, and for a role without weights after one with, where no default is named; Unreachable.
        """
        await self._settle(deadline)
        await self._look_for_changes(dialect)
        self._refuse_leftovers(wanted, dialect)
        if self.has(wanted):
            self._warn_of_unknown(wanted, dialect)
            return
        self._refuse_again(wanted)
        if dialect.api == "v1" and not (wanted.gpt and wanted.sovits):
            raise ServiceRejected(
                tr(
                    "api.py 换权重要 GPT 和 SoVITS 两个都写：在角色或 gpt_sovits 里补上 gpt_weights 和 sovits_weights。"
                )
            )
        self._changing_to = wanted
        self._change = asyncio.create_task(
            self._change_to(wanted, dialect), name=f"gpt-sovits-weights-{self._place}"
        )
        problem = await self._settle(deadline)
        if problem:
            raise problem

    def unknown(self) -> tuple[str, str]:
        """Say that a role without weights speaks with what api_v2.py was left with, and what to do.

        It is not logged after that.
        """
        self._is_warned = True
        noted = self._note.read()
        last = noted and (noted.gpt or noted.sovits)
        told = tr("，从本机换上的是 {last}", last=last) if last else ""
        return (
            tr("角色没有写权重，用服务器上现有的，就是最后换上的（api_v2.py 重启后也是）{told}", told=told),
            tr("在 gpt_sovits.gpt_weights 和 sovits_weights 写上默认的，声音就不会变。"),
        )

    async def aclose(self) -> None:
        """End a change that still goes on here; the server finishes it."""
        if self._change:
            await cancel_and_wait(self._change)
        await self._watch.aclose()

    async def _settle(self, deadline: float) -> ServiceError | None:
        """Wait for a change that goes on; return what went wrong with it."""
        if self._change is None:
            return None
        try:
            with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                problem = await asyncio.shield(self._change)
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr(
                    "GPT-SoVITS {place} 还在换权重。稍等再说，或调大 gpt_sovits.first_audio_timeout_s。",
                    place=self._place,
                )
            ) from exc
        self._change = None
        return problem

    async def _look_for_changes(self, dialect: Dialect) -> None:
        """Forget what is held where the process there has ended, or another program has set others."""
        if self._watch.has_ended:
            _log.info("GPT-SoVITS %s 重启过，权重重新设一次", self._place)
            await self._watch.aclose()
            self.forget()
            if dialect.api == "v1":  # it begins with those of its command line again
                self._left = Weights()
        if self._note.is_by_another():
            _log.info("本机的另一个程序换过 GPT-SoVITS %s 的权重", self._place)
            self.forget()
            self._left = self._note.read() or self._left
            self._is_warned = False

    def _refuse_leftovers(self, wanted: Weights, dialect: Dialect) -> None:
        """A role that names no weights must not speak with those of the last role."""
        left = self._left if dialect.api == "v2" else Weights()
        for name, want, held, default in (
            ("gpt_weights", wanted.gpt, self._gpt or left.gpt or None, self._default.gpt),
            ("sovits_weights", wanted.sovits, self._sovits or left.sovits or None, self._default.sovits),
        ):
            if not want and held not in (None, default):
                raise ServiceRejected(
                    tr(
                        "这个角色没有自己的权重，而 GPT-SoVITS {place} 上是另一个角色的：在 gpt_sovits.{name} 写上默认的权重。",
                        place=self._place,
                        name=name,
                    )
                )

    def _warn_of_unknown(self, wanted: Weights, dialect: Dialect) -> None:
        """Say once that a role without weights speaks with what the server was left with."""
        is_left = dialect.api == "v2" or self._left != Weights()
        if self._is_warned or not is_left or (wanted.gpt and wanted.sovits):
            return
        _log.warning("GPT-SoVITS %s：%s。%s", self._place, *self.unknown())

    def _refuse_again(self, wanted: Weights) -> None:
        """Loading takes the server's time from all: what it has just refused is not tried with every sentence."""
        problem, until = self._refused.get(wanted, (None, 0.0))
        if problem and anyio.current_time() < until:
            raise problem
        self._refused.pop(wanted, None)

    async def _change_to(self, wanted: Weights, dialect: Dialect) -> ServiceError | None:
        """Load both or neither; return what went wrong."""
        before = self._gpt, self._sovits
        self._gpt = self._sovits = None
        await self._watch.begin(self._settings.connect_timeout_s)
        try:
            if dialect.api == "v1":
                problem = await self._load_v1(wanted)
                self._gpt, self._sovits = (wanted.gpt, wanted.sovits) if problem is None else before
            else:
                problem = await self._load_v2(wanted, before)
        except httpx.TimeoutException as exc:
            if isinstance(exc, httpx.ConnectTimeout):
                return connection_failure(exc, self._place, self._settings.connect_timeout_s)
            return ServiceTimeout(
                tr(
                    "GPT-SoVITS {place} {LOADING_TIMEOUT_S:g} 秒没有换好权重。看它窗口里的报错。",
                    place=self._place,
                    LOADING_TIMEOUT_S=LOADING_TIMEOUT_S,
                )
            )
        except httpx.TransportError as exc:
            return connection_failure(exc, self._place, self._settings.connect_timeout_s)
        if problem:
            self._refused[wanted] = problem, anyio.current_time() + self._settings.retry_after_s
        else:
            _log.info("GPT-SoVITS %s 换好了权重", self._place)
            self._left = Weights()
        self._note.write(Weights(self._gpt or "", self._sovits or ""))
        return problem

    async def _load_v1(self, wanted: Weights) -> ServiceError | None:
        # api.py takes the pair over only when both have loaded.
        body = {"gpt_model_path": wanted.gpt, "sovits_model_path": wanted.sovits}
        response = await self._client.post(self._url + "/set_model", json=body, timeout=self._patience())
        return self._problem(response, tr("{gpt}、{sovits}", gpt=wanted.gpt, sovits=wanted.sovits))

    async def _load_v2(self, wanted: Weights, before: tuple[str | None, str | None]) -> ServiceError | None:
        self._gpt, self._sovits = before
        if wanted.gpt and wanted.gpt != self._gpt:
            self._gpt = None
            problem = await self._load("gpt", wanted.gpt)
            if problem:
                # The server has noted the wrong path, and would load it after its next failure.
                self._gpt = await self._load_back("gpt", before[0] or self._default.gpt)
                return problem
            self._gpt = wanted.gpt
        if wanted.sovits and wanted.sovits != self._sovits:
            self._sovits = None
            problem = await self._load("sovits", wanted.sovits)
            if problem:
                self._sovits = await self._load_back("sovits", before[1] or self._default.sovits)
                known = before[0] or self._default.gpt
                if self._gpt != before[0] and known:  # where none is known, this role's stays
                    self._gpt = await self._load_back("gpt", known)
                return problem
            self._sovits = wanted.sovits
        return None

    async def _load_back(self, kind: str, path: str) -> str | None:
        """Load what was there before, where that is known; return what is there now, None when it is not known."""
        return path if path and await self._load(kind, path) is None else None

    async def _load(self, kind: str, path: str) -> ServiceError | None:
        response = await self._client.get(
            f"{self._url}/set_{kind}_weights",
            params={"weights_path": path},
            timeout=self._patience(),
        )
        return self._problem(response, path)

    def _problem(self, response: httpx.Response, path: str) -> ServiceError | None:
        if response.is_success:
            return None
        advice = tr("检查角色和 gpt_sovits 里的权重路径，要是 GPT-SoVITS 那台机器上的。")
        return failure_of(
            response.status_code, response.content, self._place, tr("换不了权重 {path}", path=path), advice
        )

    def _patience(self) -> httpx.Timeout:
        return httpx.Timeout(LOADING_TIMEOUT_S, connect=self._settings.connect_timeout_s)
