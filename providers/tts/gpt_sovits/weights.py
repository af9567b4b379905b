"""The model files that one server holds, and their change.

A change goes on in a task of its own when the sentence that asked for it has given up: the server loads on anyway, and
the next sentence finds the voice ready. While it goes on nothing may be asked of the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import anyio
import httpx

from xiaozhi_persona.errors import ServiceError, ServiceRejected, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect
from xiaozhi_persona.providers.tts.gpt_sovits.failures import connection_failure, failure_of
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Weights
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.voice_settings import GptSovitsSettings

_log = logging.getLogger(__name__)

LOADING_TIMEOUT_S = 90.0
"""How long the server may take to load one file."""


class HeldWeights:
    """What weights a server holds, as far as we know: only what was set from here."""

    def __init__(
        self,
        url_of: Callable[[str], str],
        place: str,
        client: httpx.AsyncClient,
        settings: GptSovitsSettings,
    ) -> None:
        self._url_of = url_of
        self._place = place
        self._client = client
        self._settings = settings
        self._default = Weights(settings.gpt_weights, settings.sovits_weights)
        self._gpt: str | None = None
        self._sovits: str | None = None
        self._refused: dict[Weights, tuple[ServiceError, float]] = {}
        self._change: asyncio.Task[ServiceError | None] | None = None
        self._changing_to = Weights()

    def has(self, wanted: Weights) -> bool:
        """Return whether a voice with these weights can speak without a change."""
        return wanted.gpt in ("", self._gpt) and wanted.sovits in ("", self._sovits)

    def forget(self) -> None:
        """The server may have been started anew: nothing is known."""
        self._gpt = self._sovits = None

    async def ensure(self, wanted: Weights, dialect: Dialect, deadline: float) -> None:
        """Return when the server holds `wanted`; "" takes what is there, unless another role put it there.

        Raises ServiceTimeout at the deadline, after which the change goes on; ServiceRejected for files that the server
        cannot load, and for a role without weights after one with, where no default is named; Unreachable.
        """
        await self._settle(deadline)
        if self.has(wanted):
            self._refuse_leftovers(wanted)
            return
        self._refuse_leftovers(wanted)
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

    async def aclose(self) -> None:
        """End a change that still goes on here; the server finishes it."""
        if self._change:
            await cancel_and_wait(self._change)

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

    def _refuse_leftovers(self, wanted: Weights) -> None:
        """A role that names no weights must not speak with those of the last role."""
        for name, want, held, default in (
            ("gpt_weights", wanted.gpt, self._gpt, self._default.gpt),
            ("sovits_weights", wanted.sovits, self._sovits, self._default.sovits),
        ):
            if not want and held not in (None, default):
                raise ServiceRejected(
                    tr(
                        "这个角色没有自己的权重，而 GPT-SoVITS {place} 上是另一个角色的：在 gpt_sovits.{name} 写上默认的权重。",
                        place=self._place,
                        name=name,
                    )
                )

    def _refuse_again(self, wanted: Weights) -> None:
        """Loading takes the server's time from all: what it has just refused is not tried with every sentence."""
        problem, until = self._refused.get(wanted, (None, 0.0))
        if problem and anyio.current_time() < until:
            raise problem
        self._refused.pop(wanted, None)

    async def _change_to(self, wanted: Weights, dialect: Dialect) -> ServiceError | None:
        """Load both or neither; return what went wrong."""
        before = self._gpt, self._sovits
        self.forget()
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
        return problem

    async def _load_v1(self, wanted: Weights) -> ServiceError | None:
        # api.py takes the pair over only when both have loaded.
        body = {"gpt_model_path": wanted.gpt, "sovits_model_path": wanted.sovits}
        response = await self._client.post(self._url_of("/set_model"), json=body, timeout=self._patience())
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
            self._url_of(f"/set_{kind}_weights"),
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
