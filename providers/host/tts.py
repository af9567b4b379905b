"""The TTS doors: classes that the host takes for its own synthesizers, with our speech pipeline behind them.

Written for the bases of xiaozhi-esp32-server 0.9.1 to 0.9.6 (core/providers/tts/base.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from core.providers.tts.base import TTSProviderBase
from core.providers.tts.dto.dto import ContentType, InterfaceType, SentenceType, TTSMessageDTO

from xiaozhi_persona.audio.opus import OpusDecoder, decoder_reset
from xiaozhi_persona.audio.wav import wav_bytes
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.connection import calling_connection, has_tools, is_chatting
from xiaozhi_persona.providers.host.device_output import KNOWS_SENTENCE_ID, DeviceOutput, take_over_faces
from xiaozhi_persona.providers.host.doors import ANY_VOICE, GPT_SOVITS_V1, GPT_SOVITS_V2, Door
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.loop import background_loop, submit
from xiaozhi_persona.providers.host.reply import Reply
from xiaozhi_persona.providers.host.sections import tts_settings
from xiaozhi_persona.providers.host.system_prompt import give_character, voice_name
from xiaozhi_persona.providers.host.voices import shared_voices
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SpeechPipeline
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.voice_settings import TtsSettings

log = logging.getLogger(__name__)
log_through_host()

_PATIENCE_S = 1.0
"""How often an idle thread looks whether the host still writes the reply; the base's own figure."""

_ONE_SENTENCE_S = 30.0


class PersonaTts(TTSProviderBase):  # type: ignore[misc]
    """What these doors have in common. One a connection."""

    door: Door

    def __init__(self, config: Mapping[str, object], delete_audio_file: bool) -> None:
        """Never raises: what is wrong in the section is told in the log, and the fallback voice speaks."""
        super().__init__(config, delete_audio_file)
        self.interface_type = InterfaceType.SINGLE_STREAM
        self.current_sentence_id: str | None = None
        self._settings = self._read(config)
        self._voices = shared_voices(self._settings)
        self._reply: Reply | None = None
        self._is_quiet: Callable[[], bool] = lambda: True
        """Whether the device's decoder stands in silence, as far as what we had played goes."""
        self._shows_faces = False
        connection = calling_connection()
        self._device_id = normal_id(str(getattr(connection, "device_id", None) or ""))
        role = self._voices.casting.role(self._device_id)
        self.voice = voice_name(role)
        """Names the voice in the host's cache of wake word replies."""
        if connection is not None:
            is_switched = role is not self.casting.configured(self._device_id)
            give_character(connection, role, is_switched=is_switched)

    @property
    def casting(self) -> Casting:
        """Who speaks with this voice on which device."""
        return self._voices.casting

    def play(self, role: Role) -> None:
        """The device has been switched to a role. Its voice follows by itself; what answers wake words is named here."""
        self.voice = voice_name(role)

    def tts_text_priority_thread(self) -> None:
        """Take the reply as the host writes it: the loop of the base's text thread."""
        while not self.conn.stop_event.is_set():
            try:
                message = self.tts_text_queue.get(timeout=_PATIENCE_S)
            except queue.Empty:
                self._end_turn_left_open()
            else:
                try:
                    self._take(message)
                except Exception:
                    log.exception("这一段话说不了")
            self._stop_idle_model()
        self._drop_reply()

    def to_tts(self, text: str) -> list[bytes] | None:
        """Return a text as Opus packets at the connection's rate, None when it cannot be spoken. Blocks."""
        rate = getattr(self.conn, "sample_rate", 24000)
        try:
            return submit(self._packets(text, rate)).result(_ONE_SENTENCE_S)
        except Exception as exc:
            log.warning("这句话说不了：%s", exc or type(exc).__name__)
            return None

    async def text_to_speak(self, text: str, output_file: str | None) -> bytes | None:
        """Speak a text as a whole, into a WAV file or as its bytes. The base asks for it."""
        rate = getattr(self.conn, "sample_rate", 24000)
        packets = await asyncio.wrap_future(submit(self._packets(text, rate)))
        decoder = OpusDecoder(rate)
        sound = wav_bytes(np.concatenate([np.zeros(0, np.int16), *map(decoder.decode, packets)]), rate)
        if output_file is None:
            return sound if packets else None
        await asyncio.to_thread(Path(output_file).write_bytes, sound)
        return None

    async def close(self) -> None:
        """The connection has ended."""
        self._drop_reply()
        await super().close()

    def _take(self, message: TTSMessageDTO) -> None:
        is_first = message.sentence_type == SentenceType.FIRST
        if is_first and not KNOWS_SENTENCE_ID:
            self.conn.client_abort = False  # those hosts leave it to the synthesizer
        if self.conn.client_abort:
            return
        if KNOWS_SENTENCE_ID and message.sentence_id != self.conn.sentence_id:
            return
        if is_first:
            self._begin(message.sentence_id)
        elif message.content_type == ContentType.TEXT:
            self._speak(message.sentence_id, message.content_detail)
        elif message.content_type == ContentType.FILE:
            self._play(message.content_file)
        if message.sentence_type == SentenceType.LAST:
            # Behind a file, or where the model may have called a tool, no words may be all there is to say.
            may_be_silent = self._reply is None or has_tools(self.conn)
            self._current(message.sentence_id).finish(ends_turn=True, may_be_silent=may_be_silent)
            self._reply = None

    def _begin(self, sentence_id: str) -> None:
        self._drop_reply()
        self.tts_audio_first_sentence = True
        self._shows_faces = take_over_faces(self.conn) or self._shows_faces
        self._open(sentence_id)

    def _speak(self, sentence_id: str, text: str | None) -> None:
        if text:
            self._current(sentence_id).feed(text)

    def _play(self, file: str | None) -> None:
        """Play a file (music) after what was said before it."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.finish(ends_turn=False, may_be_silent=True)
            while not reply.wait(_PATIENCE_S) and not self.conn.stop_event.is_set():
                pass
        if file and Path(file).exists() and not self.conn.client_abort:
            self.opus_encoder.reset_state()  # it encodes files only: each is a stream of its own
            self.handle_opus(decoder_reset(FRAME_MS))
            self._is_quiet = lambda: False
            self._process_audio_file_stream(file, callback=self.handle_opus)

    def _current(self, sentence_id: str) -> Reply:
        """Return the reply that is being written; texts may come without a FIRST, and after a file."""
        return self._reply or self._open(sentence_id)

    def _open(self, sentence_id: str) -> Reply:
        self.current_sentence_id = sentence_id
        rate = self.conn.sample_rate
        output = DeviceOutput(self.conn, self.tts_audio_queue, sentence_id, shows_faces=self._shows_faces)
        self._reply = reply = Reply(
            background_loop(),
            lambda: self._pipeline(rate, apologizes=True),
            output,
            speech_timeout_s=self._settings.llm.speech_timeout_s,
            after_cut=not self._is_quiet(),
        )
        self._is_quiet = lambda: reply.leaves_quiet
        return reply

    def _drop_reply(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.cancel()

    def _end_turn_left_open(self) -> None:
        """End a turn that the host has left without its LAST: it does so when its model cannot be asked."""
        if self._reply is None or is_chatting(self.conn) or not self.tts_text_queue.empty():
            return
        log.warning("对话模型没有回答，这一轮到此为止。请看前面的日志里它的错误。")
        self._reply.finish(ends_turn=True, may_be_silent=False)
        self._reply = None

    def _stop_idle_model(self) -> None:
        """Have the host close the request of a model that was given up, once the device was told to stop."""
        reply = self._reply
        if reply and reply.gave_up and reply.wait(0) and not self.conn.client_is_speaking:
            self.conn.client_abort = True  # until the next turn
            self._reply = None

    def _pipeline(self, sample_rate_hz: int, *, apologizes: bool = False) -> SpeechPipeline:
        return self._voices.pipeline(
            self._device_id,
            sample_rate_hz,
            self._respell,
            None if self.delete_audio_file else self.generate_filename,
            apologizes=apologizes,
        )

    def _respell(self, text: str) -> str:
        pattern = getattr(self, "_correct_words_pattern", None)
        if pattern is None:
            return text
        respelled: str = pattern.sub(lambda match: self.correct_words[match.group(0)], text)
        return respelled

    def _read(self, section: Mapping[str, object]) -> Settings:
        try:
            return tts_settings(section, Path.cwd(), self.door)
        except PersonaError as exc:
            log.error("%s（现在用备用的声音）", exc)
            return Settings(tts=TtsSettings(engine="espeak"))

    async def _packets(self, text: str, sample_rate_hz: int) -> list[bytes]:
        packets: list[bytes] = []
        async with contextlib.aclosing(self._pipeline(sample_rate_hz)) as pipeline:
            pipeline.feed(text)
            pipeline.finish()
            async for sentence in pipeline:
                packets += [packet async for packet in sentence.packets()]
        return packets


class GptSovitsV1(PersonaTts):
    """Speaks through GPT-SoVITS's api.py; see the door GPT_SOVITS_V1."""

    door = GPT_SOVITS_V1


class GptSovitsV2Stream(PersonaTts):
    """Speaks through GPT-SoVITS's api_v2.py; see the door GPT_SOVITS_V2."""

    door = GPT_SOVITS_V2


class AnyVoice(PersonaTts):
    """Speaks through the engine that its section or our config.yaml names; see the door ANY_VOICE."""

    door = ANY_VOICE
