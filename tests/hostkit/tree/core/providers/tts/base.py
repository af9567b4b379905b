"""The base of TTS providers: text in by one queue, packets out by another, a thread at each."""

import asyncio
import os
import queue
import re
import threading
import uuid
from abc import ABC, abstractmethod
from datetime import date

from config.logger import setup_logging
from core.handle.reportHandle import enqueue_tts_report
from core.handle.sendAudioHandle import sendAudioMessage
from core.hostkit_version import VERSION
from core.providers.tts.dto.dto import ContentType, InterfaceType, SentenceType, TTSMessageDTO
from core.utils import opus_encoder_utils, p3, textUtils
from core.utils.output_counter import add_device_output
from core.utils.tts import MarkdownCleaner, convert_percentage_to_range
from core.utils.util import audio_bytes_to_data_stream, audio_to_data_stream

TAG = __name__
logger = setup_logging()

_TURNS = VERSION >= (0, 9, 3)  # audio tuples carry the id of their turn
_TRIES = 5
_END_MARKS = "。？?！!；;："
_FIRST_MARKS = "，~、," + _END_MARKS


class TTSProviderBase(ABC):
    def __init__(self, config, delete_audio_file):
        self.interface_type = InterfaceType.NON_STREAM
        self.conn = None
        self.delete_audio_file = delete_audio_file
        self.audio_file_type = "wav"
        self.output_file = config.get("output_dir", "tmp/")
        self.tts_text_queue, self.tts_audio_queue = queue.Queue(), queue.Queue()
        self.tts_audio_first_sentence = True
        self.before_stop_play_files = []
        self.tts_text_buff = []
        self.punctuations, self.first_sentence_punctuations = tuple(_END_MARKS), tuple(_FIRST_MARKS)
        self.tts_stop_request = False
        self.processed_chars = 0
        self.is_first_sentence = True
        if _TURNS:
            self.tts_timeout = int(config.get("tts_timeout", 15))
            self.report_on_last = False
            self._sentence_text_map = {}
        if VERSION >= (0, 9, 4):
            pairs = [item.split("|", 1) for item in config.get("correct_words", []) if "|" in item]
            self.correct_words = dict(pairs)
            self._correct_words_pattern = _any_of(self.correct_words)
            self._reverse_words_map = {right: wrong for wrong, right in pairs} or None
            self._reverse_words_pattern = _any_of(self._reverse_words_map or {})
            self._pending_prefix = ""
            self._words_by_first_char = {}
            for word in sorted(self.correct_words, key=len, reverse=True):
                self._words_by_first_char.setdefault(word[0], []).append(word)

    @abstractmethod
    async def text_to_speak(self, text, output_file):
        """Speak into the file, or return the sound as bytes when there is none."""

    def generate_filename(self, extension=".wav"):
        return os.path.join(self.output_file, f"tts-{date.today()}@{uuid.uuid4().hex}{extension}")

    # What providers put into the audio queue.

    def _put(self, sentence_type, audio, text):
        entry = (sentence_type, audio, text)
        self.tts_audio_queue.put((*entry, getattr(self, "current_sentence_id", None)) if _TURNS else entry)

    def handle_opus(self, opus_data):
        self._put(SentenceType.MIDDLE, opus_data, None)

    def handle_audio_file(self, file_audio, text):
        self.before_stop_play_files.append((file_audio, text))

    def _process_before_stop_play_files(self):
        for audio, text in self.before_stop_play_files:
            self._put(SentenceType.MIDDLE, audio, text)
        self.before_stop_play_files.clear()
        self._put(SentenceType.LAST, [], None)

    # Synthesis.

    def _spoken(self, text):
        text = MarkdownCleaner.clean_markdown(text)
        pattern = getattr(self, "_correct_words_pattern", None)
        return pattern.sub(lambda m: self.correct_words[m[0]], text) if pattern else text

    def to_tts_stream(self, text, opus_handler=None):
        shown = text if VERSION >= (0, 9, 4) else MarkdownCleaner.clean_markdown(text)
        text = self._spoken(text)
        if not self.delete_audio_file:
            path = self._synthesize_file(text)
            self._put(SentenceType.FIRST, None, shown)
            if os.path.exists(path):
                self._process_audio_file_stream(path, callback=opus_handler)
            return
        sound = self._synthesize(text)
        if sound:
            self._put(SentenceType.FIRST, None, shown)
            self._encode(sound, opus_handler, self.opus_encoder)

    def to_tts(self, text):
        text = self._spoken(text)
        if not self.delete_audio_file:
            return self._synthesize_file(text)
        sound = self._synthesize(text)
        if not sound:
            return None
        packets = []
        self._encode(sound, packets.append, None)
        return packets

    def _encode(self, sound, take, encoder):
        rate = self.conn.sample_rate
        audio_bytes_to_data_stream(
            sound, self.audio_file_type, True, callback=take, sample_rate=rate, opus_encoder=encoder
        )

    def _synthesize(self, text):
        """The sound, after at most five tries, one right after the other; None."""
        for count in range(1, _TRIES + 1):
            try:
                sound = asyncio.run(self.text_to_speak(text, None))
                if sound:
                    return sound
            except Exception as exc:
                logger.bind(tag=TAG).warning(f"try {count} failed: {text}: {exc}")
        logger.bind(tag=TAG).error(f"not spoken: {text}")
        return None

    def _synthesize_file(self, text):
        path = self.generate_filename()
        for count in range(1, _TRIES + 1):
            try:
                asyncio.run(self.text_to_speak(text, path))
                if os.path.exists(path):
                    break
            except Exception as exc:
                logger.bind(tag=TAG).warning(f"try {count} failed: {text}: {exc}")
        return path

    # Sound files.

    def audio_to_pcm_data_stream(self, audio_file_path, callback=None):
        return audio_to_data_stream(audio_file_path, False, callback, self.conn.sample_rate)

    def audio_to_opus_data_stream(self, audio_file_path, callback=None):
        return audio_to_data_stream(audio_file_path, True, callback, self.conn.sample_rate, self.opus_encoder)

    def _process_audio_file_stream(self, tts_file, callback):
        if tts_file.endswith(".p3"):
            p3.decode_opus_from_file_stream(tts_file, callback)
        elif self.conn.audio_format == "pcm":
            self.audio_to_pcm_data_stream(tts_file, callback)
        else:
            self.audio_to_opus_data_stream(tts_file, callback)
        if self.delete_audio_file and os.path.exists(tts_file) and tts_file.startswith(self.output_file):
            os.remove(tts_file)

    # Text.

    def tts_one_sentence(self, conn, content_type, content_detail=None, content_file=None, sentence_id=None):
        if not (sentence_id or conn.sentence_id):
            conn.sentence_id = uuid.uuid4().hex
        turn = sentence_id or conn.sentence_id
        for piece in re.split("([。！？!?；;\n])", content_detail):  # noqa: RUF001
            message = TTSMessageDTO(turn, SentenceType.MIDDLE, content_type, piece, content_file)
            self.tts_text_queue.put(message)

    def _get_segment_text(self):
        waiting = "".join(self.tts_text_buff)[self.processed_chars :]
        marks = self.first_sentence_punctuations if self.is_first_sentence else self.punctuations
        # The last place of each mark; the first of these.
        places = [waiting.rfind(mark) for mark in marks if mark in waiting]
        if places:
            cut = waiting[: min(places) + 1]
            self.processed_chars += len(cut)
            self.is_first_sentence = False
            return textUtils.get_string_no_punctuation_or_emoji(cut)
        if self.tts_stop_request and waiting:
            self.is_first_sentence = True
            return waiting
        return None

    def _process_remaining_text_stream(self, opus_handler=None):
        everything = "".join(self.tts_text_buff)
        rest = textUtils.get_string_no_punctuation_or_emoji(everything[self.processed_chars :])
        if not rest:
            return False
        self.to_tts_stream(rest, opus_handler=opus_handler)
        self.processed_chars += len(everything)
        return True

    # The threads.

    async def open_audio_channels(self, conn):
        self.conn = conn
        if getattr(self, "opus_encoder", None) is None:
            self.opus_encoder = opus_encoder_utils.OpusEncoderUtils(conn.sample_rate, 1, 60)
        self.tts_priority_thread = threading.Thread(
            target=self.tts_text_priority_thread, name="hostkit-tts-text", daemon=True
        )
        self.audio_play_priority_thread = threading.Thread(
            target=self._audio_play_priority_thread, name="hostkit-tts-audio", daemon=True
        )
        self.tts_priority_thread.start()
        self.audio_play_priority_thread.start()

    def tts_text_priority_thread(self):
        while not self.conn.stop_event.is_set():
            try:
                message = self.tts_text_queue.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                self._take_text(message)
            except Exception as exc:
                logger.bind(tag=TAG).error(f"text: {type(exc).__name__}: {exc}")

    def _take_text(self, message):
        first = message.sentence_type == SentenceType.FIRST
        if first and not _TURNS:
            self.conn.client_abort = False
        if self.conn.client_abort or (_TURNS and message.sentence_id != self.conn.sentence_id):
            return
        if first:
            if _TURNS:
                self.current_sentence_id = message.sentence_id
            self.tts_stop_request = False
            self.tts_text_buff, self.processed_chars = [], 0
            self.is_first_sentence = self.tts_audio_first_sentence = True
        elif message.content_type == ContentType.TEXT:
            self.tts_text_buff.append(message.content_detail)
            segment = self._get_segment_text()
            if segment:
                self.to_tts_stream(segment, opus_handler=self.handle_opus)
        elif message.content_type == ContentType.FILE:
            self._process_remaining_text_stream(opus_handler=self.handle_opus)
            if message.content_file and os.path.exists(message.content_file):
                self._process_audio_file_stream(message.content_file, callback=self.handle_opus)
        if message.sentence_type == SentenceType.LAST:
            self._process_remaining_text_stream(opus_handler=self.handle_opus)
            entry = (SentenceType.LAST, [], message.content_detail)
            self.tts_audio_queue.put((*entry, message.sentence_id) if _TURNS else entry)

    def _audio_play_priority_thread(self):
        self._to_report = (None, [])
        while not self.conn.stop_event.is_set():
            try:
                entry = self.tts_audio_queue.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                self._send(entry)
            except Exception as exc:
                logger.bind(tag=TAG).error(f"audio: {type(exc).__name__}: {exc}")

    def _send(self, entry):
        if _TURNS:
            sentence_type, audio, text, turn = entry if len(entry) == 4 else (*entry, None)
        else:
            sentence_type, audio, text = entry
            turn = None
        if self.conn.client_abort:
            self._to_report = (None, [])
            return
        self._report(sentence_type, audio, text)
        sending = sendAudioMessage(self.conn, sentence_type, audio, text, *([turn] if _TURNS else []))
        asyncio.run_coroutine_threadsafe(sending, self.conn.loop).result()
        if self.conn.max_output_size > 0 and text:
            add_device_output(self.conn.headers.get("device-id"), len(text))

    def _report(self, sentence_type, audio, text):
        said, sound = self._to_report
        if sentence_type is not SentenceType.MIDDLE:
            if getattr(self, "report_on_last", False):
                said = text or said
                if sentence_type is SentenceType.LAST:
                    enqueue_tts_report(self.conn, said, sound)
                    said, sound = None, []
            else:
                if said is not None:
                    enqueue_tts_report(self.conn, said, sound)
                said, sound = text, []
        if isinstance(audio, bytes):
            sound.append(audio)
        self._to_report = (said, sound)

    async def start_session(self, session_id):  # noqa: B027
        pass

    async def finish_session(self, session_id):  # noqa: B027
        pass

    async def close(self):
        if _TURNS:
            self._sentence_text_map.clear()
        if getattr(self, "ws", None):
            await self.ws.close()

    if _TURNS:

        def store_tts_text(self, sentence_id, text):
            if sentence_id and text:
                self._sentence_text_map[sentence_id] = text
                while len(self._sentence_text_map) > 5:
                    del self._sentence_text_map[next(iter(self._sentence_text_map))]

        def get_tts_text(self, sentence_id):
            return self._sentence_text_map.get(sentence_id)

        def clear_tts_text(self, sentence_id):
            self._sentence_text_map.pop(sentence_id, None)

        def _apply_percentage_params(self, config):
            for key, name, low, high, middle, convert in self.TTS_PARAM_CONFIG:
                if key in config:
                    value = convert_percentage_to_range(config[key], low, high, middle)
                    setattr(self, name, convert(value) if convert else value)

    if VERSION >= (0, 9, 4):

        def _restore_original_text(self, text):
            pattern = self._reverse_words_pattern
            return pattern.sub(lambda m: self._reverse_words_map[m[0]], text) if pattern and text else text

        def reset_stream_state(self):
            self._pending_prefix = ""


def _any_of(words):
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if words else None
