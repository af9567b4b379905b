"""xtts-api-server 0.9 as its server.py is: the speaker is looked for only when the body has begun.

`python -m fakes.xtts_server --port 8020` in tests/ runs it as a process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web
from fakes.speech_server import FakeSpeechServer, Seen, port_of, run_forever

LANGUAGES = {"Chinese": "zh-cn", "English": "en", "Japanese": "ja", "Korean": "ko", "German": "de"}


@dataclass
class FakeXtts(FakeSpeechServer):
    """Streams; a speaker that it does not know leaves a body that is cut without a byte."""

    speakers: set[str] = field(default_factory=set)
    """Names and paths that it knows; without any it knows all."""
    is_local: bool = True
    """Whether it was started with -ms local."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/tts_stream", self._stream),
            web.get("/speakers_list", self._speakers_list),
            web.get("/languages", self._languages),
        ]

    async def _speakers_list(self, http: web.Request) -> web.StreamResponse:
        return web.json_response(sorted(name for name in self.speakers if not name.endswith(".wav")))

    async def _languages(self, http: web.Request) -> web.StreamResponse:
        if self.fault == "hang":
            await self._hang()
        return web.json_response({"languages": LANGUAGES})

    async def _stream(self, http: web.Request) -> web.StreamResponse:
        query = dict(http.query)
        missing = [name for name in ("text", "speaker_wav", "language") if name not in query]
        if missing:
            detail = [
                {"type": "missing", "loc": ["query", name], "msg": "Field required"} for name in missing
            ]
            return web.json_response({"detail": detail}, status=422)
        if not self.is_local:
            return _refused("HTTP Streaming is only supported for local models.")
        if query["language"].lower() not in LANGUAGES.values():
            return _refused("Language code sent is either unsupported or misspelled.")
        voice = query["speaker_wav"]
        seen = Seen(
            http.path, query["text"], voice, query["language"], query, dict(http.headers), port_of(http)
        )
        if self.speakers and voice not in self.speakers:
            self.next_faults.insert(0, "cut_off_empty")
        return await self.speak(http, seen, "wav")


def _refused(detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=400)


if __name__ == "__main__":
    run_forever(FakeXtts())
