"""What went wrong at a server that speaks, told by the body as well as by the status.

::

    ServiceUnavailable
     +-- Unreachable    no connection, or it ended before an answer: the server is set aside
     +-- CutOff         the answer began as a success and ended without sound
     +-- WrongLength    the whole sound is far too short or long for its text
    ServiceTimeout
     +-- Silent         no sound within the deadline: the server is set aside
    ServiceBroken
     +-- Stalled        silent after the first sound: the server is set aside
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import httpx

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.spine import PcmChunk

LONGEST_COMPLAINT_BYTES = 64 * 1024
_LONGEST_REASON = 300

_TITLE = re.compile(r"<title>([^<]+)</title>", re.IGNORECASE)
_HTML_TAG = re.compile(r"<(style|script)\b.*?</\1>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


class Unreachable(ServiceUnavailable):
    """The server cannot be reached, or hung up before it answered."""


class CutOff(ServiceUnavailable):
    """The answer began as a success and ended, or was cut off, without any sound."""


class WrongLength(ServiceUnavailable):
    """The whole sentence is in `sound`, and cannot be the whole text and no more."""

    def __init__(self, message: str, sound: PcmChunk) -> None:
        super().__init__(message)
        self.sound = sound


class Silent(ServiceTimeout):
    """The server was asked, and no sound came within the deadline."""


class Stalled(ServiceBroken):
    """Sound began to come, and then nothing more within the deadline."""


DOWN = (Unreachable, Silent, Stalled)
"""After these the server is set aside."""


class Failures(Protocol):
    """The errors of one server's answers, in words that tell what to do at that server."""

    def refusal(self, status: int, body: bytes) -> ServiceError:
        """Return the error for an answer that is no sound, whatever its status."""
        ...

    def cut_off(self) -> ServiceError:
        """Return the error for an answer that ended without sound."""
        ...

    def broken_off(self) -> ServiceError:
        """Return the error for sound that was cut off."""
        ...

    def only_silence(self) -> ServiceError:
        """Return the error for a whole answer in which every sample is zero."""
        ...

    def stalled(self, limit_s: float) -> ServiceError:
        """Return the error for sound that stopped coming."""
        ...

    def wrong_length(self, sound: PcmChunk, seconds: float, predicted_s: float) -> ServiceError:
        """Return the error for a whole sentence that cannot be its text."""
        ...


class ServerFailures:
    """Failures of a server of which only the settings are known."""

    def __init__(self, section: str, place: str, secret: str = "", cut_off_advice: str = "") -> None:
        """`section` is that of the settings, `place` host and port, `secret` what must not be repeated.

        `cut_off_advice` says what such a server means when it ends without sound; it is translated when it is told.
        """
        self._section = section
        self._place = place
        self._secret = secret
        self._cut_off_advice = cut_off_advice or _CUT_OFF_ADVICE

    def refusal(self, status: int, body: bytes) -> ServiceError:
        """Return the error for an answer that is no sound, whatever its status."""
        reason = reason_of(body)[0]
        if self._secret:  # some servers repeat the key that they refuse
            reason = reason.replace(self._secret, "***")
        said = tr("（{status}）", status=status) + (tr("：{reason}", reason=reason) if reason else "")
        if status in (408, 504):
            return ServiceTimeout(
                tr("语音服务器 {place} 没有及时回答{said}。稍后再试。", place=self._place, said=said)
            )
        advice = tr(_ADVICE.get(status, ""), section=self._section)
        if status >= 500 or status == 429:
            return ServiceUnavailable(
                tr(
                    "语音服务器 {place} 出错{said}。{advice}",
                    place=self._place,
                    said=said,
                    advice=advice
                    or tr("稍后再试；再不行就检查声音的名字或参考音频的路径，看它窗口里的报错。"),
                )
            )
        return ServiceRejected(
            tr(
                "语音服务器 {place} 拒绝了请求{said}。{advice}",
                place=self._place,
                said=said,
                advice=advice or tr("检查 {section} 的设置和角色的声音。", section=self._section),
            )
        )

    def cut_off(self) -> ServiceError:
        """Return the error for an answer that ended without sound."""
        return CutOff(
            tr(
                "语音服务器 {place} 没有给出声音就结束了。{advice}",
                place=self._place,
                advice=tr(self._cut_off_advice),
            )
        )

    def broken_off(self) -> ServiceError:
        """Return the error for sound that was cut off."""
        return ServiceBroken(
            tr("语音服务器 {place} 说到一半断开了。再试一次，常有时看它窗口里的报错。", place=self._place)
        )

    def only_silence(self) -> ServiceError:
        """Return the error for a whole answer in which every sample is zero."""
        return ServiceUnavailable(
            tr(
                "语音服务器 {place} 只给出了静音。{advice}",
                place=self._place,
                advice=tr(self._cut_off_advice),
            )
        )

    def stalled(self, limit_s: float) -> ServiceError:
        """Return the error for sound that stopped coming."""
        return Stalled(
            tr(
                "语音服务器 {place} 说到一半停了 {limit_s:g} 秒。看它是否卡住，或调大 {section}.audio_timeout_s。",
                place=self._place,
                limit_s=limit_s,
                section=self._section,
            )
        )

    def wrong_length(self, sound: PcmChunk, seconds: float, predicted_s: float) -> ServiceError:
        """Return the error for a whole sentence that cannot be its text."""
        return WrongLength(
            tr(
                "语音服务器 {place} 把约 {predicted_s:.1f} 秒的话说成了 {seconds:.1f} 秒。"
                "换一个声音或参考音频，看采样率对不对。",
                place=self._place,
                predicted_s=predicted_s,
                seconds=seconds,
            ),
            sound,
        )

    def silent(self, limit_s: float) -> Silent:
        """Return the error for no sound within the deadline."""
        return Silent(
            tr(
                "语音服务器 {place} 在 {limit_s:g} 秒内没有给出声音。"
                "看它是否卡住，或调大 {section}.first_audio_timeout_s。",
                place=self._place,
                limit_s=limit_s,
                section=self._section,
            )
        )

    def unreachable(self, exc: httpx.TransportError, connect_timeout_s: float) -> Unreachable:
        """Return the error for a connection that was not made, or ended before the answer began."""
        if isinstance(exc, httpx.ConnectTimeout):
            reason = tr("{connect_timeout_s:g} 秒没有接通", connect_timeout_s=connect_timeout_s)
        else:
            reason = str(exc).rstrip(".。 ") or type(exc).__name__
        return Unreachable(
            tr(
                "连不上语音服务器 {place}：{reason}。看它有没有启动，{section}.base_url 的地址和端口对不对。",
                place=self._place,
                reason=reason,
                section=self._section,
            )
        )


_CUT_OFF_ADVICE = later("检查声音的名字和文字，看它窗口里的报错。")

_ADVICE = {
    **dict.fromkeys((301, 302, 303, 307, 308), later("把正确的地址填入 {section}.base_url。")),
    **dict.fromkeys((401, 403, 407), later("检查密钥和它前面的代理（{section}）。")),
    **dict.fromkeys((404, 405), later("检查 {section}.base_url、模型和声音的名字。")),
    413: later("句子太长了。"),
    429: later("问得太快或额度用完了（{section}），稍后再试。"),
}


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, {} where there is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def reason_of(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return what a body that is no sound says, on one line, and its JSON object where there is one."""
    data = parsed(body)
    parts = [data.get("message"), data.get("Exception"), _inner(data.get("error"))]
    details = data.get("detail")
    if isinstance(details, list):
        for detail in details:
            if isinstance(detail, dict):
                where = ".".join(str(part) for part in detail.get("loc") or ())
                parts.append(f"{where} {detail.get('msg', '')}")
    else:
        parts.append(_inner(details))
    text = " ".join(str(part) for part in parts if part)
    if not text and not data:
        page = body.decode("utf-8", "replace")
        title = _TITLE.search(page)
        text = title[1] if title else _HTML_TAG.sub(" ", page)
    return " ".join(text.split())[:_LONGEST_REASON].rstrip("。.！! "), data


def _inner(value: Any) -> Any:
    return value.get("message") or value if isinstance(value, dict) else value
