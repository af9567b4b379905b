"""Text messages of the device."""

import asyncio
import json
import time

from core.handle.abortHandle import handleAbortMessage
from core.handle.helloHandle import handleHelloMessage
from core.handle.receiveAudioHandle import startToChat
from core.handle.reportHandle import enqueue_asr_report
from core.handle.sendAudioHandle import send_stt_message, send_tts_message
from core.hostkit_version import VERSION
from core.providers.asr.dto.dto import InterfaceType
from core.providers.tools.device_mcp import handle_mcp_message
from core.utils.util import remove_punctuation_and_length


async def handleTextMessage(conn, message):
    try:
        content = json.loads(message)
    except json.JSONDecodeError:
        await conn.websocket.send(message)
        return
    kinds = {"hello": handleHelloMessage, "listen": _listen, "abort": _abort, "mcp": _mcp}
    handler = kinds.get(content.get("type"))
    if handler is None:
        conn.logger.bind(tag=__name__).error(f"unknown message: {message}")
    else:
        await handler(conn, content)


async def _abort(conn, message):
    await handleAbortMessage(conn)


async def _mcp(conn, message):
    task = asyncio.create_task(
        handle_mcp_message(conn, conn.mcp_client, message["payload"]), name="hostkit-mcp"
    )
    conn.hostkit_mcp_tasks = {one for one in getattr(conn, "hostkit_mcp_tasks", ()) if not one.done()} | {
        task
    }


async def _listen(conn, message):
    conn.client_listen_mode = message.get("mode", conn.client_listen_mode)
    if message["state"] == "start":
        if VERSION >= (0, 9, 3):
            conn.reset_audio_states()
        else:
            conn.client_have_voice, conn.client_voice_stop = True, False
    elif message["state"] == "stop":
        await _stop(conn)
    elif message["state"] == "detect":
        await _detect(conn, message)


async def _stop(conn):
    if conn.asr is None:
        return
    conn.client_voice_stop = True
    if conn.asr.interface_type == InterfaceType.STREAM:
        await conn.asr._send_stop_request()
        return
    sound = list(conn.asr_audio)
    if sound:
        conn.reset_audio_states()
        await conn.asr.handle_voice_stop(conn, sound)


async def _detect(conn, message):
    conn.reset_audio_states()
    if "text" not in message:
        return
    conn.last_activity_time = time.time() * 1000
    text = message["text"]
    woken = remove_punctuation_and_length(text)[1] in conn.config.get("wakeup_words")
    if woken and not conn.config.get("enable_greeting", True):
        await send_stt_message(conn, text)
        await send_tts_message(conn, "stop")
        conn.client_is_speaking = False
        return
    conn.just_woken_up = True
    text = "嘿，你好呀" if woken else text  # noqa: RUF001
    enqueue_asr_report(conn, text, [])
    await startToChat(conn, text)
