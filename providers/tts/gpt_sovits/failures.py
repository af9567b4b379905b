"""What went wrong at a GPT-SoVITS server, told by the body as well as by the status."""

from __future__ import annotations

import re
from typing import Any

import httpx

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.tts.failures import (
    CutOff,
    Silent,
    Stalled,
    Unreachable,
    WrongLength,
    parsed,
    reason_of,
)
from xiaozhi_persona.spine import PcmChunk


class SovitsFailures:
    """Failures of the answers of one server; `place` is host and port."""

    def __init__(self, place: str) -> None:
        self._place = place

    def refusal(self, status: int, body: bytes) -> ServiceError:
        """Return the error for an answer that is no sound, whatever its status."""
        return failure_of(status, body, self._place)

    def cut_off(self) -> CutOff:
        """Return the error for an answer that ended without sound."""
        return CutOff(
            tr(
                "GPT-SoVITS {place} 没有给出声音就结束了。"
                "多半是参考音频不存在、不是 3 到 10 秒，或文字、语言不对；看它窗口里的报错。",
                place=self._place,
            )
        )

    def broken_off(self) -> ServiceBroken:
        """Return the error for sound that was cut off."""
        return ServiceBroken(
            tr("GPT-SoVITS {place} 说到一半断开了。再试一次，常有时看它窗口里的报错。", place=self._place)
        )

    def only_silence(self) -> ServiceUnavailable:
        """Return the error for the silence that the servers send when their engine failed."""
        return ServiceUnavailable(
            tr(
                "GPT-SoVITS {place} 只给出了静音，它的模型出错了。看它窗口里的报错，可能要重启它。",
                place=self._place,
            )
        )

    def stalled(self, limit_s: float) -> Stalled:
        """Return the error for sound that stopped coming."""
        return Stalled(
            tr(
                "GPT-SoVITS {place} 说到一半停了 {limit_s:g} 秒。"
                "看它是否卡住，或调大 gpt_sovits.audio_timeout_s。",
                place=self._place,
                limit_s=limit_s,
            )
        )

    def wrong_length(self, sound: PcmChunk, seconds: float, predicted_s: float) -> WrongLength:
        """Return the error for a whole sentence in which words were swallowed, or whose end was not found."""
        return WrongLength(
            tr(
                "GPT-SoVITS {place} 把约 {predicted:.1f} 秒的话说成了 {seconds:.1f} 秒。"
                "换一段参考音频，或调小 temperature。",
                place=self._place,
                predicted=predicted_s,
                seconds=seconds,
            ),
            sound,
        )


def failure_of(status: int, body: bytes, place: str, doing: str = "", advice: str = "") -> ServiceError:
    """Return the error for an answer that is no sound, whatever its status; `place` is host and port.

    `doing` and `advice` say what failed and the next step, where the caller knows it better.
    """
    reason, data = reason_of(body)
    said = tr("（{status}）", status=status) + (tr("：{reason}", reason=reason) if reason else "")
    if status in (408, 504):
        return ServiceTimeout(tr("GPT-SoVITS {place} 没有及时回答{said}。稍后再试。", place=place, said=said))
    if status >= 500 or status == 429 or _OUT_OF_ORDER.search(reason):
        # The same request may work later: the engine failed, not the request.
        return ServiceUnavailable(
            tr("GPT-SoVITS {place} 出错{said}。稍后再试，再不行就看它窗口里的报错。", place=place, said=said)
        )
    advice = tr(_ADVICE.get(status, "")) or advice or _advice_for(reason, data)
    doing = doing or tr("拒绝了请求")
    return ServiceRejected(
        tr("GPT-SoVITS {place} {doing}{said}。{advice}", place=place, doing=doing, said=said, advice=advice)
    )


def refuses(body: bytes, field: str) -> bool:
    """Return whether a 422 body complains about this field."""
    details = parsed(body).get("detail")
    if not isinstance(details, list):
        return False
    return any(isinstance(detail, dict) and field in (detail.get("loc") or ()) for detail in details)


def wants_v2_names(body: bytes) -> bool:
    """Return whether a server that was asked in api.py's way complains that api_v2.py's names are missing."""
    return any(refuses(body, name) for name in ("text_lang", "ref_audio_path")) or bool(
        _V2_NAME.search(reason_of(body)[0])
    )


def connection_failure(exc: httpx.TransportError, place: str, connect_timeout_s: float) -> Unreachable:
    """Return the error for a connection that was not made, or ended before the answer began."""
    if isinstance(exc, httpx.ConnectTimeout):
        reason = tr("{connect_timeout_s:g} 秒没有接通", connect_timeout_s=connect_timeout_s)
    else:
        reason = str(exc).rstrip(".。 ") or type(exc).__name__
    return Unreachable(
        tr(
            "连不上 GPT-SoVITS {place}：{reason}。"
            "看它有没有启动、地址和端口对不对；它在别的机器上时，启动要带 -a 0.0.0.0。",
            place=place,
            reason=reason,
        )
    )


def silent(place: str, limit_s: float) -> Silent:
    """Return the error for no sound within the deadline."""
    return Silent(
        tr(
            "GPT-SoVITS {place} 在 {limit_s:g} 秒内没有给出声音。"
            "看它是否卡住，或调大 gpt_sovits.first_audio_timeout_s。",
            place=place,
            limit_s=limit_s,
        )
    )


_ADVICE = {
    **dict.fromkeys((301, 302, 303, 307, 308), later("把正确的地址填入 gpt_sovits.servers。")),
    **dict.fromkeys((401, 403, 407), later("检查它前面的代理，GPT-SoVITS 自己没有密码。")),
    **dict.fromkeys(
        (404, 405), later("检查 gpt_sovits.servers 的地址和端口，它应是 api.py 或 api_v2.py，不是网页界面。")
    ),
    413: later("句子太长了。"),
}

_V2_NAME = re.compile(r"\b(?:ref_audio_path|text_lang|prompt_lang)\b")
_OUT_OF_ORDER = re.compile(r"cuda|cudnn|cublas|out of memory|mps backend|NoneType", re.IGNORECASE)


def _advice_for(reason: str, data: dict[str, Any]) -> str:
    if "not supported" in reason:
        return tr("检查 gpt_sovits.parameters 和角色的语言、参数。")
    if data.get("message") == "tts failed" or "参考音频" in reason or "ref_audio" in reason:
        return tr("检查参考音频：路径要是 GPT-SoVITS 那台机器上的，时长 3 到 10 秒，并有文字和语言。")
    return tr("检查 gpt_sovits.parameters、角色的参考音频和地址。")
