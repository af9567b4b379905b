"""Hello, and the answer to a wake word."""

import asyncio
import hashlib
import json
import os
import time
import uuid

import yaml
from core.handle.sendAudioHandle import send_tts_message, sendAudioMessage
from core.providers.tools.device_mcp import MCPClient, send_mcp_initialize_message
from core.providers.tts.dto.dto import SentenceType
from core.utils.dialogue import Message
from core.utils.util import (
    audio_to_data,
    opus_datas_to_wav_bytes,
    pcm_to_data_stream,
    remove_punctuation_and_length,
)

WAKEUP_REPLY = "我在呢，您请说。"
_SOUNDS = "config/assets/wakeup_words"
_LEAST_BYTES = 15 * 1024
_REFRESH_S = 10
_wakeup_cache = {}
"""By voice: the file, its text, and when it was made."""
_lock = asyncio.Lock()


async def handleHelloMessage(conn, msg_json):
    if audio := msg_json.get("audio_params"):
        conn.audio_format = audio.get("format")
        conn.welcome_msg["audio_params"] = audio
    if features := msg_json.get("features"):
        conn.features = features
        conn.client_aec = bool(features.get("aec"))
        if features.get("mcp"):
            conn.mcp_client = MCPClient()
            conn.hostkit_mcp_task = asyncio.create_task(send_mcp_initialize_message(conn), name="hostkit-mcp")
    await conn.websocket.send(json.dumps(conn.welcome_msg))


async def checkWakeupWords(conn, text):
    deadline = time.monotonic() + 3
    while not conn.tts:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    if not conn.config["enable_wakeup_words_response_cache"]:
        return False
    if remove_punctuation_and_length(text)[1] not in conn.config.get("wakeup_words"):
        return False
    conn.just_woken_up = True
    await send_tts_message(conn, "start")
    conn.client_abort = False
    conn.sentence_id = uuid.uuid4().hex
    cached = _wakeup_cache.get(getattr(conn.tts, "voice", "default") or "default")
    if cached and cached["size"] >= _LEAST_BYTES:
        packets = await audio_to_data(cached["file_path"], use_cache=False)
    else:
        cached, packets = {"text": "我在这里哦！", "time": 0}, []
        pcm_to_data_stream(bytes(16000), callback=packets.append)  # half a second of nothing
    await sendAudioMessage(conn, SentenceType.FIRST, packets, cached["text"])
    await sendAudioMessage(conn, SentenceType.LAST, [], None)
    conn.dialogue.put(Message(role="assistant", content=cached["text"]))
    if time.time() - cached["time"] > _REFRESH_S and not _lock.locked():
        conn.wakeup_task = asyncio.create_task(wakeupWordsResponse(conn), name="hostkit-wakeup")
    return True


async def wakeupWordsResponse(conn):
    async with _lock:
        packets = await asyncio.to_thread(conn.tts.to_tts, WAKEUP_REPLY)
        if not packets:
            return
        _store(getattr(conn.tts, "voice", "default"), opus_datas_to_wav_bytes(packets, conn.sample_rate))


def _store(voice, sound):
    path = f"{_SOUNDS}/{hashlib.md5(voice.encode()).hexdigest()}.wav"
    os.makedirs(_SOUNDS, exist_ok=True)
    with open(path, "wb") as file:
        file.write(sound)
    entry = {"file_path": path, "text": WAKEUP_REPLY, "time": time.time(), "size": len(sound)}
    _wakeup_cache[voice] = entry
    with open("data/.wakeup_words.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump(_wakeup_cache, file, allow_unicode=True)
