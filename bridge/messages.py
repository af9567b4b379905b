"""The JSON messages of the xiaozhi protocol, both directions. No I/O.

Source: 78/xiaozhi-esp32 2.4, main/protocols/protocol.cc and main/application.cc (what the device sends and reads).
Messages with fields of wrong types are refused; unknown types are not an error, since both sides ignore them. Hellos
are an exception: many clients are written by hand, and one that gets no hello in return works not at all, so that a
field of a wrong type counts as missing there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr

ListenMode = Literal["auto", "manual", "realtime"]
"""auto: the server finds the end of speech; manual: push to talk; realtime: the microphone stays open."""
LISTEN_MODES: tuple[ListenMode, ...] = ("auto", "manual", "realtime")

NO_WORDS = "no_words"
"""A feature of our own client: it wants an `stt` without text where speech was heard and no words in it. The protocol
has no message for this, and other servers ignore the feature."""
CONNECTED_AGAIN = "connected again"
"""The close reason of a connection whose device id has come again."""


class ProtocolError(PersonaError):
    """A message or a frame that does not follow the protocol."""


@dataclass(frozen=True)
class AudioParams:
    """What a side says about the Opus packets it sends, and the other is to expect."""

    sample_rate_hz: int = 16000
    frame_ms: int = 60
    format: str = "opus"


@dataclass(frozen=True)
class Hello:
    """First message of both sides. Every field but the type may be missing in a device's hello."""

    version: int = 0
    """Binary protocol version, 0 when not said (a device's)."""
    session_id: str = ""
    """The server's name for the connection (a server's)."""
    audio: AudioParams | None = None
    features: frozenset[str] = frozenset()
    """Names of the features that are true (a device's): mcp, aec, glyph_push, NO_WORDS."""
    transport: str = "websocket"
    device_id: str = ""
    """Which device it is, where it says so here (a device's): the host's web page, hand-written clients."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        audio = self.audio or AudioParams()
        message: dict[str, Any] = {"type": "hello", "version": self.version or 1, "transport": self.transport}
        if self.features:
            message["features"] = dict.fromkeys(sorted(self.features), True)
        message["audio_params"] = {
            "format": audio.format,
            "sample_rate": audio.sample_rate_hz,
            "channels": 1,
            "frame_duration": audio.frame_ms,
        }
        return message


@dataclass(frozen=True)
class Listen:
    """Device: the microphone opens or closes, or it has something in words.

    With state detect, `text` is the wake word, or what was typed (py-xiaozhi, the host's web page).
    """

    state: Literal["start", "stop", "detect"]
    mode: ListenMode = "auto"
    text: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        fields: dict[str, Any] = {"type": "listen", "state": self.state}
        if self.state == "start":
            fields["mode"] = self.mode
        elif self.state == "detect":
            fields["text"] = self.text
        return fields


@dataclass(frozen=True)
class Abort:
    """Device: stop speaking."""

    reason: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "abort", **({"reason": self.reason} if self.reason else {})}


@dataclass(frozen=True)
class Mcp:
    """Either side: a JSON-RPC 2.0 message."""

    payload: dict[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "mcp", "payload": self.payload}


@dataclass(frozen=True)
class Tts:
    """Server: speaking begins, the next sentence with its subtitle, speaking has ended."""

    state: Literal["start", "sentence_start", "stop"]
    text: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "tts", "state": self.state, **({"text": self.text} if self.text else {})}


@dataclass(frozen=True)
class Stt:
    """Server: what was heard; without text, to clients with NO_WORDS only, that no words were."""

    text: str

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "stt", "text": self.text}


@dataclass(frozen=True)
class Face:
    """Server: the face to show. `emotion` is one of the 21 names, `emoji` what clients without art show."""

    emotion: str
    emoji: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "llm", "emotion": self.emotion, "text": self.emoji}


@dataclass(frozen=True)
class Alert:
    """Server: something that the user of the device is to read. The firmware shows all three and makes a sound."""

    status: str
    message: str
    emotion: str = "sad"

    def fields(self) -> dict[str, Any]:
        """Return the fields of the message."""
        return {"type": "alert", "status": self.status, "message": self.message, "emotion": self.emotion}


@dataclass(frozen=True)
class Unknown:
    """A message of a type that this side does not read."""

    type: str


OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
OPUS_FRAMES_MS = (5, 10, 20, 40, 60, 80, 100, 120)
"""What the firmware's decoder takes (main/audio/audio_service.h); our client's too."""

_UPLINK, _DOWNLINK = AudioParams(16000, 60), AudioParams(24000, 60)  # the firmware's, where a hello says less

DeviceMessage = Hello | Listen | Abort | Mcp | Unknown
ServerMessage = Hello | Tts | Stt | Face | Mcp | Unknown
Message = Hello | Listen | Abort | Mcp | Tts | Stt | Face | Alert


def encode(message: Message, session_id: str = "") -> str:
    """Return the text frame of a message."""
    fields = {**message.fields(), "session_id": session_id}
    return _whole_characters(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def decode_device_message(text: str) -> DeviceMessage:
    """Read what a device sent. Raises ProtocolError."""
    data = _object(text)
    kind = data["type"]
    if kind == "hello":
        return _hello(data, _UPLINK)
    if kind == "listen":
        state = _text(data, "state")
        if state == "start":
            mode = _text(data, "mode", "auto")
            if mode not in LISTEN_MODES:
                raise ProtocolError(tr("listen 的 mode 不认识：{value!r}", value=mode[:20]))
            return Listen("start", mode)
        if state == "stop":
            return Listen("stop")
        if state == "detect":
            return Listen("detect", text=_text(data, "text", ""))
        raise ProtocolError(tr("listen 的 state 不认识：{value!r}", value=state[:20]))
    if kind == "abort":
        return Abort(_text(data, "reason", ""))
    if kind == "mcp":
        payload = _dict(data, "payload")
        return Mcp(_with_whole_characters(payload) if "\\u" in text else payload)
    return Unknown(kind)


def decode_server_message(text: str) -> ServerMessage:
    """Read what a server sent. Raises ProtocolError."""
    data = _object(text)
    kind = data["type"]
    if kind == "hello":
        return _hello(data, _DOWNLINK)
    if kind == "tts":
        state = _text(data, "state")
        if state not in ("start", "sentence_start", "stop"):
            return Unknown(f"tts {state}")
        return Tts(cast(Literal["start", "sentence_start", "stop"], state), _text(data, "text", ""))
    if kind == "stt":
        return Stt(_text(data, "text", ""))
    if kind == "llm":
        return Face(_text(data, "emotion", ""), _text(data, "text", ""))
    if kind == "mcp":
        return Mcp(_dict(data, "payload"))
    return Unknown(kind)


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(tr("不是有效的 JSON")) from exc
    if not isinstance(data, dict):
        raise ProtocolError(tr("消息应是 JSON 对象"))
    _text(data, "type")
    return data


def _hello(data: dict[str, Any], default: AudioParams) -> Hello:
    audio, params, features = None, data.get("audio_params"), data.get("features")
    if isinstance(params, dict):
        rate_hz = _number(params.get("sample_rate"))
        frame_ms = _number(params.get("frame_duration"))
        audio = AudioParams(
            rate_hz if rate_hz in OPUS_RATES_HZ else default.sample_rate_hz,
            frame_ms if frame_ms in OPUS_FRAMES_MS else default.frame_ms,
            _said(params.get("format")).lower() or default.format,
        )
    if isinstance(features, dict):
        features = [name for name, on in features.items() if on is True]
    named = filter(None, map(_said, features)) if isinstance(features, list) else ()
    return Hello(
        version=_number(data.get("version")),
        session_id=_said(data.get("session_id")),
        audio=audio,
        features=frozenset(named),
        transport=_said(data.get("transport")),
        device_id=next((text for key in ("device_id", "device_mac") if (text := _id(data, key))), ""),
    )


def _said(value: object) -> str:
    """Return a text of a hello, "" for anything else."""
    return _whole_characters(value) if isinstance(value, str) else ""


def _number(value: object) -> int:
    """Return a whole number of a hello, which may be written as text; 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1_000_000 else 0


def _field(data: dict[str, Any], key: str, default: object) -> object:
    """Return a field; null stands for one that is missing."""
    value = data.get(key)
    return default if value is None else value


def _whole_characters(text: str) -> str:
    """Replace half characters (lone surrogates, which JSON can name) by ?: they have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _with_whole_characters(data: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(data, ensure_ascii=False)
        whole: dict[str, Any] = json.loads(_whole_characters(text))
    except RecursionError as exc:
        raise ProtocolError(tr("不是有效的 JSON")) from exc
    return whole


def _text(data: dict[str, Any], key: str, default: str | None = None) -> str:
    value = _field(data, key, default)
    if not isinstance(value, str):
        raise ProtocolError(tr("{key} 应是文字", key=key))
    return _whole_characters(value)


def _id(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return _whole_characters(value) if isinstance(value, str) else ""


def _dict(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise ProtocolError(tr("{key} 应是 JSON 对象", key=key))
    return value
