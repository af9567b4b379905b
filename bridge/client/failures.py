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


def no_hello(url: str, ending: str | None, refused: Hello | None, timeout_s: float) -> ServiceError:
    """No hello that can be used. `ending` is how the connection was closed, None while it is open."""
    if ending is not None:
        return ServiceUnavailable(
            f"{url} 没有打招呼（hello）就断开了连接（{ending}）。"
            "请检查服务器的日志，以及这台设备和令牌（--token）是否被允许"
        )
    if refused is not None:
        return ServiceTimeout(
            f"{url} 的 hello 里 transport 是 {refused.transport[:20]!r}，应为 'websocket'。"
            "ESP32 不会接受，请检查服务器"
        )
    return ServiceTimeout(f"{url} 连上了，但 {timeout_s:g} 秒内没有等到 hello。请确认对方是小智服务器")


def no_words(url: str) -> ServiceError:
    """The server has heard speech, and no words in it."""
    return ServiceRejected(
        f"{url} 听到了声音，但没有从录音里识别出文字。自带的语音识别只认识演示的句子，别的话要先设 asr.model"
    )


def no_reply(url: str, ending: str | None, turn: TurnLog, timeout_s: float) -> ServiceError:
    """No reply, or one without its end. `ending` as for no_hello()."""
    if ending is not None and CONNECTED_AGAIN in ending:
        return gone(url, ending, "")
    if ending is not None and turn.answered:
        return ServiceBroken(f"{url} 在回答中途断开了连接（{ending}）。请看服务器的日志")
    if ending is not None:
        return ServiceUnavailable(f"{url} 没有回答就断开了连接（{ending}）。请看服务器的日志")
    if turn.answered:
        return ServiceTimeout(
            f"{url} 的回答在 {timeout_s:g} 秒内没有结束（没有收到 tts stop）。请看服务器的日志"
        )
    if turn.typed:
        return ServiceTimeout(f"{url} 在 {timeout_s:g} 秒内没有回答。请看服务器的日志")
    # The protocol has no message for this: a server that hears no words goes on listening.
    return ServiceTimeout(
        f"{url} 在 {timeout_s:g} 秒内没有回答，多半是没有从录音里识别出文字。"
        "自带的语音识别只认识演示的句子，别的话要先设 asr.model；也请看服务器的日志"
    )


_AGAIN = (
    "同一个设备编号在别处又连上来了，所以结束了这一个。要同时运行两个，给其中一个加 --device-id，写另一个编号"
)


def gone(url: str, ending: str, next_step: str) -> ServiceUnavailable:
    """The connection is not there any more."""
    if CONNECTED_AGAIN in ending:
        next_step = _AGAIN
    return ServiceUnavailable(f"{url} 断开了连接（{ending}）。{next_step}")
