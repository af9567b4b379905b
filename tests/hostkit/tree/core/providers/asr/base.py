"""The base of recognizers: frames come by the connection's queue, a thread takes them to the loop."""

import asyncio
import io
import json
import os
import queue
import shutil
import tempfile
import threading
import uuid
import wave
from abc import ABC, abstractmethod
from typing import NamedTuple

from config.logger import setup_logging
from core.handle.receiveAudioHandle import handleAudioMessage, startToChat
from core.handle.reportHandle import enqueue_asr_report
from core.hostkit_version import VERSION
from core.providers.asr.dto.dto import InterfaceType
from core.utils.libopus import opuslib_next
from core.utils.util import remove_punctuation_and_length

TAG = __name__
logger = setup_logging()

_PCM = VERSION >= (0, 9, 6)  # sound is decoded where it comes in
_LEAST_FRAMES = 15
_FRAME_BYTES = 1920


class ASRProviderBase(ABC):
    def __init__(self):  # noqa: B027
        pass

    @abstractmethod
    async def speech_to_text(self, opus_data, session_id, artifacts=None):
        """Return the text, or a dict that holds it as content, and the path of a file or None."""

    async def open_audio_channels(self, conn):
        conn.asr_priority_thread = threading.Thread(
            target=self.asr_text_priority_thread, args=(conn,), name="hostkit-asr", daemon=True
        )
        conn.asr_priority_thread.start()

    def asr_text_priority_thread(self, conn):
        while not conn.stop_event.is_set():
            try:
                frame = conn.asr_audio_queue.get(timeout=0.1)
                asyncio.run_coroutine_threadsafe(handleAudioMessage(conn, frame), conn.loop).result()
            except queue.Empty:
                continue
            except Exception as exc:
                logger.bind(tag=TAG).error(f"sound: {type(exc).__name__}: {exc}")

    async def receive_audio(self, conn, pcm_frame, audio_have_voice):
        conn.asr_audio.append(pcm_frame)
        if conn.client_listen_mode == "manual":
            return
        if not audio_have_voice and not conn.client_have_voice:
            conn.asr_audio = conn.asr_audio[-10:]
            return
        streams = VERSION >= (0, 9, 3) and conn.asr.interface_type == InterfaceType.STREAM
        if not conn.client_voice_stop or streams:
            return
        sound = list(conn.asr_audio)
        if _PCM:
            joined = b"".join(sound)
            if len(joined) > _LEAST_FRAMES * _FRAME_BYTES:
                await self.handle_voice_stop(conn, [joined])
            conn.reset_audio_states()
        else:
            conn.reset_audio_states()
            if len(sound) > _LEAST_FRAMES:
                await self.handle_voice_stop(conn, sound)

    async def handle_voice_stop(self, conn, asr_audio_task):
        try:
            heard, _ = await self._recognize(conn, asr_audio_task)
            content = heard.get("content", "") if isinstance(heard, dict) else heard
            text = json.dumps(heard, ensure_ascii=False) if isinstance(heard, dict) else heard
            length, _ = remove_punctuation_and_length(content)
            self.stop_ws_connection()
            if length:
                enqueue_asr_report(conn, text, list(asr_audio_task))
                await startToChat(conn, text)
        except Exception as exc:
            logger.bind(tag=TAG).error(f"speech: {type(exc).__name__}: {exc}")

    async def _recognize(self, conn, sound):
        if VERSION < (0, 9, 2):
            return await self.speech_to_text(sound, conn.session_id, conn.audio_format)
        if _PCM:
            return await self.speech_to_text_wrapper(sound, conn.session_id)
        return await self.speech_to_text_wrapper(sound, conn.session_id, conn.audio_format)

    async def speech_to_text_wrapper(self, pcm_data, session_id, audio_format="opus"):
        kept = temporary = None
        try:
            frames = pcm_data if _PCM or audio_format == "pcm" else self.decode_opus(pcm_data)
            sound = b"".join(frames)
            if shutil.disk_usage(self.output_dir).free < len(sound) * 2:
                raise OSError("disk full")
            if self.requires_file() and self.prefers_temp_file():
                temporary = self.build_temp_file(sound)
            elif self.requires_file() or not getattr(self, "delete_audio_file", True):
                kept = self.save_audio_to_file(frames, session_id)
            artifacts = self.AudioArtifacts(frames, sound, kept, temporary) if sound else None
            more = [artifacts] if _PCM else [audio_format, artifacts]
            text, _ = await self.speech_to_text(pcm_data, session_id, *more)
            return text, kept
        except Exception as exc:
            logger.bind(tag=TAG).error(f"recognition: {type(exc).__name__}: {exc}")
            return None, None
        finally:
            for path in (temporary, kept if getattr(self, "delete_audio_file", False) else None):
                if path:
                    os.remove(path)

    class AudioArtifacts(NamedTuple):
        pcm_frames: list
        pcm_bytes: bytes
        file_path: str | None
        temp_path: str | None

    def requires_file(self):
        return False

    def prefers_temp_file(self):
        return False

    def build_temp_file(self, pcm_bytes):
        handle, path = tempfile.mkstemp(suffix=".wav")
        with os.fdopen(handle, "wb") as file:
            file.write(self._pcm_to_wav(pcm_bytes))
        return path

    def save_audio_to_file(self, pcm_data, session_id):
        path = os.path.join(self.output_dir, f"asr_{session_id}_{uuid.uuid4()}.wav")
        with open(path, "wb") as file:
            file.write(self._pcm_to_wav(b"".join(pcm_data)))
        return path

    def _pcm_to_wav(self, pcm_data):
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(pcm_data)
        return out.getvalue()

    @staticmethod
    def decode_opus(opus_data):
        decoder = opuslib_next.Decoder(16000, 1)
        return [decoder.decode(packet, 960) for packet in opus_data if packet]

    def stop_ws_connection(self):  # noqa: B027
        pass

    async def close(self):  # noqa: B027
        pass
