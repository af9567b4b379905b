"""From sound and text to a turn."""

import asyncio
import json

from core.handle.abortHandle import handleAbortMessage
from core.handle.intentHandler import handle_user_intent
from core.handle.sendAudioHandle import send_stt_message
from core.hostkit_version import VERSION


async def handleAudioMessage(conn, pcm_frame):
    have_voice = conn.vad.is_vad(conn, pcm_frame)
    if getattr(conn, "just_woken_up", False):
        if VERSION < (0, 9, 3):
            conn.asr_audio.clear()
        if not hasattr(conn, "vad_resume_task") or conn.vad_resume_task.done():
            conn.vad_resume_task = asyncio.create_task(resume_vad_detection(conn))
        return
    interrupts = VERSION < (0, 9, 3) or (VERSION >= (0, 9, 4) and conn.client_aec)
    if interrupts and have_voice and conn.client_is_speaking and conn.client_listen_mode != "manual":
        await handleAbortMessage(conn)
    await conn.asr.receive_audio(conn, pcm_frame, have_voice)


async def resume_vad_detection(conn):
    await asyncio.sleep(2)
    conn.just_woken_up = False


async def startToChat(conn, text):
    conn.current_speaker = None
    if text.strip().startswith("{") and text.strip().endswith("}"):
        try:
            heard = json.loads(text)
        except json.JSONDecodeError:
            heard = {}
        if "speaker" in heard and "content" in heard:
            conn.current_speaker = heard["speaker"]
            if VERSION >= (0, 9, 6) and conn.current_speaker in conn.introduced_speakers:
                text = heard["content"]
            conn.introduced_speakers.add(conn.current_speaker)
    if conn.client_is_speaking and conn.client_listen_mode != "manual":
        await handleAbortMessage(conn)
    if await handle_user_intent(conn, text):
        return
    await send_stt_message(conn, text)
    if VERSION >= (0, 9, 3):
        conn.client_abort = False
    conn.executor.submit(conn.chat, text)
