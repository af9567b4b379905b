"""A server that speaks as OpenAI's API does; with `coqui`, as that of coqui-tts 0.28 (TTS/server/server.py).

`python -m fakes.openai_speech_server --port 8880` in tests/ runs it as a process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web
from fakes.speech_server import CONTENT_TYPES, FakeSpeechServer, Seen, port_of, run_forever

_PAGE = (
    "<!DOCTYPE html><html><head><title>TTS engine</title></head><body>Coqui TTS"
    '<select id="language_id"><option value="en" SELECTED>en</option><option value="zh-cn" SELECTED>zh-cn</option></select>'
    "</body></html>"
)
_FAILED = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>"


@dataclass
class FakeOpenAiSpeech(FakeSpeechServer):
    """Voices that it does not know are refused, as the real ones do."""

    coqui: bool = False
    voices: set[str] = field(default_factory=set)
    """Names and paths that it knows; without any it knows all."""
    api_key: str = ""
    started_with: str = "en"
    """coqui: --language_idx."""
    stated_rate: bool = False
    """Whether the content type of samples says their rate."""

    def routes(self) -> list[web.RouteDef]:
        common = [web.post("/v1/audio/speech", self._speech)]
        if self.coqui:
            return [
                *common,
                web.get("/", self._index),
                web.get("/api/tts", self._api_tts),
                web.post("/api/tts", self._api_tts),
            ]
        return [*common, web.get("/v1/models", self._models)]

    def content_type(self, media: str) -> str:
        rate = f";rate={self.rate_hz}" if media == "pcm" and self.stated_rate else ""
        return super().content_type(media) + rate

    async def _models(self, http: web.Request) -> web.StreamResponse:
        if self.fault == "hang":
            await self._hang()
        if not self._may(http):
            return web.json_response({"error": {"message": "Incorrect API key provided"}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": "tts-1", "object": "model"}]})

    async def _index(self, http: web.Request) -> web.StreamResponse:
        return web.Response(text=_PAGE, content_type="text/html")

    async def _speech(self, http: web.Request) -> web.StreamResponse:
        if not self._may(http):
            return web.json_response(
                {"error": {"message": f"Incorrect API key: {http.headers.get('Authorization')}"}}, status=401
            )
        body = await http.json()
        voice, media = str(body.get("voice", "")), body.get("response_format", "mp3")
        seen = Seen(
            http.path,
            body["input"],
            voice,
            self.started_with if self.coqui else "",
            body,
            dict(http.headers),
            port_of(http),
        )
        if media not in CONTENT_TYPES:
            return web.Response(text="Unsupported format", status=400)
        if not self._knows(voice):
            self.requests.append(seen)
            if self.coqui:
                return web.Response(text=_FAILED, status=500, content_type="text/html")
            message = f"Voice '{voice}' not found. Available voices: {', '.join(sorted(self.voices))}"
            return web.json_response(
                {"detail": {"error": "validation_error", "message": message}}, status=400
            )
        return await self.speak(http, seen, media)

    async def _api_tts(self, http: web.Request) -> web.StreamResponse:
        form = {**http.query, **{name: str(value) for name, value in (await http.post()).items()}}
        text = http.headers.get("text") or form.get("text", "")
        wav = form.get("speaker_wav", "")
        voice = wav or form.get("speaker_id", "")
        language = form.get("language_id", self.started_with)
        seen = Seen(http.path, text, voice, language, dict(form), dict(http.headers), port_of(http))
        if not text.strip():
            return web.json_response({"error": "Text parameter is required"}, status=400)
        if not language or not self._knows(voice):
            self.requests.append(seen)
            reason = (
                "Model is multi-lingual but no `language` is provided."
                if not language
                else f"No such file: {voice}"
            )
            return web.json_response({"error": f"TTS synthesis failed: {reason}"}, status=500)
        return await self.speak(http, seen, "wav")

    def _knows(self, voice: str) -> bool:
        return not self.voices or voice in self.voices

    def _may(self, http: web.Request) -> bool:
        return not self.api_key or http.headers.get("Authorization") == f"Bearer {self.api_key}"


if __name__ == "__main__":
    run_forever(FakeOpenAiSpeech())
