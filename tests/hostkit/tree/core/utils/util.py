"""Sound in files and bytes to packets, and small things about text and settings."""

import asyncio
import io
import os
import re
import wave

import numpy as np
import soundfile
from core.utils import p3
from core.utils.libopus import opuslib_next

_FRAME_MS = 60
_MARKS = frozenset(
    " 　！＂＃＄％＆＇（）＊＋，－。／：；＜＝＞？＠［＼］＾＿｀｛｜｝～!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)  # noqa: RUF001


def remove_punctuation_and_length(text):
    kept = "".join(char for char in text if char not in _MARKS)
    return (0, "") if kept == "Yeah" else (len(kept), kept)


def check_model_key(modelType, modelKey):
    return f"{modelType}: no API key: {modelKey}" if "你" in modelKey else None


def parse_string_to_list(value, separator=";"):
    if not value:
        return []
    return (
        [part.strip() for part in value.split(separator) if part.strip()] if isinstance(value, str) else value
    )


def sanitize_tool_name(name):
    return re.sub(r"[^a-zA-Z0-9_\-\u4e00-\u9fff]", "_", name)


def extract_json_from_string(text):
    found = re.search(r"({.*})", text, re.DOTALL)
    return found.group(1) if found else None


def get_local_ip():
    return "127.0.0.1"


def get_system_error_response(config):
    return config.get("system_error_response", "主人，小智现在有点忙，我们稍后再试吧。")


def audio_bytes_to_data_stream(
    audio_bytes, file_type, is_opus, callback, sample_rate=16000, opus_encoder=None
):
    if file_type == "p3":
        p3.decode_opus_from_bytes_stream(audio_bytes, callback)
    else:
        pcm_to_data_stream(
            _pcm(io.BytesIO(audio_bytes), sample_rate), is_opus, callback, sample_rate, opus_encoder
        )


def audio_to_data_stream(audio_file_path, is_opus=True, callback=None, sample_rate=16000, opus_encoder=None):
    pcm_to_data_stream(_pcm(audio_file_path, sample_rate), is_opus, callback, sample_rate, opus_encoder)


async def audio_to_data(audio_file_path, is_opus=True, use_cache=True):
    packets = []
    await asyncio.to_thread(audio_to_data_stream, audio_file_path, is_opus, packets.append)
    return packets


def pcm_to_data_stream(raw_data, is_opus=True, callback=None, sample_rate=16000, opus_encoder=None):
    frame = sample_rate * _FRAME_MS // 1000
    raw_data += bytes(-len(raw_data) % (frame * 2))
    own = (
        opuslib_next.Encoder(sample_rate, 1, opuslib_next.APPLICATION_AUDIO)
        if is_opus and not opus_encoder
        else None
    )
    for at in range(0, len(raw_data), frame * 2):
        piece = raw_data[at : at + frame * 2]
        if not is_opus:
            callback(piece)
        elif own:
            callback(own.encode(piece, frame))
        else:
            opus_encoder.encode_pcm_to_opus_stream(piece, at + frame * 2 >= len(raw_data), callback)


def opus_datas_to_wav_bytes(opus_datas, sample_rate=16000, channels=1):
    decoder = opuslib_next.Decoder(sample_rate, channels)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for packet in opus_datas:
            file.writeframes(decoder.decode(packet, sample_rate * _FRAME_MS // 1000))
    return out.getvalue()


def _pcm(file, sample_rate):
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    at = np.arange(int(len(mono) * sample_rate / rate)) * rate / sample_rate
    mono = np.interp(at, np.arange(len(mono)), mono) if rate != sample_rate else mono
    return (np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes()


def write_json_file(file_path, data):
    import json

    with open(file_path, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=4)


def check_ffmpeg_installed():
    return any(os.access(os.path.join(p, "ffmpeg"), os.X_OK) for p in os.environ["PATH"].split(os.pathsep))
