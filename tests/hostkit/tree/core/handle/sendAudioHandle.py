"""What goes to the device: messages, and packets at the pace they play."""

import asyncio
import json
import time

from core.hostkit_version import VERSION
from core.providers.tts.dto.dto import SentenceType
from core.utils import textUtils
from core.utils.audioRateController import AudioRateController

AUDIO_FRAME_DURATION = 60
PRE_BUFFER_COUNT = 5
_TURNS = VERSION >= (0, 9, 3)  # sentence ids are looked at


async def sendAudioMessage(conn, sentenceType, audios, text, sentence_id=None):  # the last from 0.9.3 on
    if sentence_id is not None and sentence_id != conn.sentence_id:
        return
    if conn.tts.tts_audio_first_sentence:
        conn.tts.tts_audio_first_sentence = False
        if not _TURNS:
            await send_tts_message(conn, "start")
    if sentenceType == SentenceType.FIRST:
        if _flow(conn).get("sentence_id") == conn.sentence_id and _flow(conn):
            conn.audio_rate_controller.add_message(lambda: send_tts_message(conn, "sentence_start", text))
        else:
            await send_tts_message(conn, "sentence_start", text)
    await sendAudio(conn, audios)
    if sentenceType == SentenceType.LAST and not conn.calling:
        await send_tts_message(conn, "stop")
        if not _TURNS:
            conn.client_is_speaking = False
        if conn.close_after_chat:
            await conn.close()


async def sendAudio(conn, audios, frame_duration=AUDIO_FRAME_DURATION):
    if not audios:
        return
    fixed_delay_s = conn.config.get("tts_audio_send_delay", -1) / 1000
    controller = _controller(conn, frame_duration)
    for packet in [audios] if isinstance(audios, bytes) else audios:
        if conn.client_abort:
            return
        conn.last_activity_time = time.time() * 1000
        if _flow(conn)["packet_count"] < PRE_BUFFER_COUNT:
            await _send_packet(conn, packet)
        elif fixed_delay_s > 0:
            await asyncio.sleep(fixed_delay_s)
            await _send_packet(conn, packet)
        else:
            controller.add_audio(packet)


async def send_tts_message(conn, state, text=None):
    if state == "sentence_start" and text is None:
        return
    message = {"type": "tts", "state": state, "session_id": conn.session_id}
    if text is not None:
        message["text"] = textUtils.check_emoji(text)
    if state == "stop":
        turn = conn.sentence_id
        controller = getattr(conn, "audio_rate_controller", None)
        if controller is not None:
            await controller.queue_empty_event.wait()
            await asyncio.sleep((PRE_BUFFER_COUNT + 2) * controller.frame_duration / 1000)
        if _TURNS and turn != conn.sentence_id:
            return
        if _TURNS and controller is not None:
            controller.stop_sending()
        conn.clearSpeakStatus()
    await conn.websocket.send(json.dumps(message))


async def send_stt_message(conn, text):
    shown = text
    if text.strip().startswith("{") and text.strip().endswith("}"):
        try:
            heard = json.loads(text)
        except json.JSONDecodeError:
            heard = None
        if isinstance(heard, dict) and "content" in heard:
            shown = heard["content"]
            conn.current_speaker = heard.get("speaker", conn.current_speaker)
    shown = textUtils.get_string_no_punctuation_or_emoji(shown)
    await send_display_message(conn, shown)
    await send_tts_message(conn, "start")
    if _TURNS:
        conn.client_is_speaking = True


async def send_display_message(conn, text):
    await conn.websocket.send(json.dumps({"type": "stt", "text": text, "session_id": conn.session_id}))


def _flow(conn):
    return getattr(conn, "audio_flow_control", {})


def _controller(conn, frame_duration):
    """The connection's controller; it begins anew with each turn and after an abort."""
    controller = getattr(conn, "audio_rate_controller", None)
    sending = (
        controller is not None and controller.pending_send_task and not controller.pending_send_task.done()
    )
    if sending and _flow(conn).get("sentence_id") == conn.sentence_id:
        return controller
    if controller is None:
        controller = conn.audio_rate_controller = AudioRateController(frame_duration)
    else:
        controller.reset()
    flow = conn.audio_flow_control = {"packet_count": 0, "sequence": 0, "sentence_id": conn.sentence_id}

    async def send(packet):
        if conn.client_abort:
            raise asyncio.CancelledError
        conn.last_activity_time = time.time() * 1000
        await _send_packet(conn, packet, flow)

    controller.start_sending(send)
    return controller


async def _send_packet(conn, packet, flow=None):
    flow = flow or conn.audio_flow_control
    if not _TURNS:
        conn.client_is_speaking = True
    await conn.websocket.send(packet)
    flow["packet_count"] += 1
    flow["sequence"] += 1
