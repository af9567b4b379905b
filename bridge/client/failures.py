"""What is told when the server does not do its part: the error for each way in which it fails."""

from __future__ import annotations

from xiaozhi_persona.bridge.client.timeline import TurnLog
from xiaozhi_persona.bridge.messages import CONNECTED_AGAIN, Hello
from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.language import later, tr


def no_hello(url: str, ending: str | None, refused: Hello | None, timeout_s: float) -> ServiceError:
    """No hello that can be used. `ending` is how the connection was closed, None while it is open."""
    if ending is not None:
        return ServiceUnavailable(
            tr(
                "{url} 没有打招呼（hello）就断开了连接（{ending}）。"
                "请检查服务器的日志，以及这台设备和令牌（--token）是否被允许",
                url=url,
                ending=ending,
            )
        )
    if refused is not None:
        return ServiceTimeout(
            tr(
                "{url} 的 hello 里 transport 是 {value!r}，应为 'websocket'。ESP32 不会接受，请检查服务器",
                url=url,
                value=refused.transport[:20],
            )
        )
    return ServiceTimeout(
        tr(
            "{url} 连上了，但 {timeout_s:g} 秒内没有等到 hello。请确认对方是小智服务器",
            url=url,
            timeout_s=timeout_s,
        )
    )


def no_words(url: str) -> ServiceError:
    """The server has heard speech, and no words in it."""
    return ServiceRejected(
        tr(
            "{url} 听到了声音，但没有从录音里识别出文字。"
            "自带的语音识别只认识演示的句子，别的话要先设 asr.model",
            url=url,
        )
    )


def no_reply(url: str, ending: str | None, turn: TurnLog, timeout_s: float) -> ServiceError:
    """No reply, or one without its end. `ending` as for no_hello()."""
    if ending is not None and CONNECTED_AGAIN in ending:
        return gone(url, ending, "")
    if ending is not None and turn.answered:
        return ServiceBroken(
            tr("{url} 在回答中途断开了连接（{ending}）。请看服务器的日志", url=url, ending=ending)
        )
    if ending is not None:
        return ServiceUnavailable(
            tr("{url} 没有回答就断开了连接（{ending}）。请看服务器的日志", url=url, ending=ending)
        )
    if turn.answered:
        return ServiceTimeout(
            tr(
                "{url} 的回答在 {timeout_s:g} 秒内没有结束（没有收到 tts stop）。请看服务器的日志",
                url=url,
                timeout_s=timeout_s,
            )
        )
    if turn.typed:
        return ServiceTimeout(
            tr("{url} 在 {timeout_s:g} 秒内没有回答。请看服务器的日志", url=url, timeout_s=timeout_s)
        )
    # The protocol has no message for this: a server that hears no words goes on listening.
    return ServiceTimeout(
        tr(
            "{url} 在 {timeout_s:g} 秒内没有回答，多半是没有从录音里识别出文字。"
            "自带的语音识别只认识演示的句子，别的话要先设 asr.model；也请看服务器的日志",
            url=url,
            timeout_s=timeout_s,
        )
    )


class TakenOver(ServiceUnavailable):
    """Another connection of the same device id has taken the place of this one."""


_AGAIN = later(
    "同一个设备编号在别处又连上来了，所以结束了这一个。要同时运行两个，给其中一个加 --device-id，写另一个编号"
)


def gone(url: str, ending: str, next_step: str) -> ServiceUnavailable:
    """The connection is not there any more."""
    taken_over = CONNECTED_AGAIN in ending
    if taken_over:
        next_step = tr(_AGAIN)
    return (TakenOver if taken_over else ServiceUnavailable)(
        tr("{url} 断开了连接（{ending}）。{next_step}", url=url, ending=ending, next_step=next_step)
    )
