"""Roles as other programs keep them: MoeChat, CABM, the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fakes.role_packs import write_clip

SECRET = "sk-very-secret"
MOECHAT: dict[str, Any] = {
    "LLM": {"api": "https://llm", "key": SECRET, "model": "m"},
    "GSV": {
        "api": "http://192.168.1.9:9880/tts/",
        "text_lang": "zh",
        "GPT_weight": "D:\\gsv\\mei.ckpt",
        "SoVITS_weight": "D:\\gsv\\mei.pth",
        "ref_audio_path": "ref/main.wav",
        "prompt_text": "主要的参考音频。",
        "prompt_lang": "zh",
        "aux_ref_audio_paths": ["ref/aux.wav", None],
        "seed": -1,
        "top_k": 15,
        "batch_size": 20,
        "ex_config": {"text_split_method": "cut0", "secret_sauce": SECRET},
    },
    "extra_ref_audio": {
        "开心": ["ref/happy.wav", "真是太好了。"],
        "难过/哭": ["ref/sad.wav", "我有点难过。"],
        "普通": ["E:\\voices\\calm.wav", "今天天气不错。"],
        "空": [None, None],
    },
    "Agent": {
        "is_up": True,
        "char": "小梅",
        "user": "阿杰",
        "long_memory": True,
        "is_check_memorys": True,
        "is_core_mem": True,
        "mem_thresholds": 0.38,
        "lore_books": True,
        "books_thresholds": 0.5,
        "scan_depth": 4,
        "char_settings": "{{char}}是花店的店员。",
        "char_personalities": "爽朗",
        "mask": "",
        "message_example": "花要晒太阳，人也要。",
        "prompt": "说话简短。",
        "hobby": SECRET,
    },
}
INFO = {
    "name": "小梅",
    "user": "阿杰",
    "description": "{{char}}是花店的店员。",
    "messageExamples": ["花要晒太阳。", "人也要。"],
    "customPrompt": "说话简短。",
    "startWith": ["你来啦，{{user}}。"],
    "settings": {"loreBooksDepth": 3, "longMemoryThreshold": 0.32, "enableCoreMemory": False},
    "gsvSetting": {
        "textLang": "zh",
        "gptModelPath": "models/a.ckpt",
        "sovitsModelPath": "models/a.pth",
        "refAudioPath": "ref/main.wav",
        "promptText": "主要的参考音频。",
        "promptLang": "ja",
        "topK": 30,
        "batchSize": 20,
        "extra": {"text_split_method": "cut0"},
        "extraRefAudio": {"开心": ["ref/happy.wav", "真是太好了。"]},
    },
}
HOST_V2 = {
    "type": "gpt_sovits_v2",
    "url": "http://127.0.0.1:9880/tts",
    "output_dir": "tmp/",
    "text_lang": "auto",
    "ref_audio_path": "demo.wav",
    "ref_audio": "/srv/voices/a.wav",
    "ref_text": "这是参考文字。",
    "prompt_text": "",
    "prompt_lang": "zh",
    "top_k": "5",
    "temperature": "0.9",
    "batch_size": "1",
    "split_bucket": "true",
    "return_fragment": False,
    "streaming_mode": False,
    "aux_ref_audio_paths": "/srv/voices/b.wav; /srv/voices/c.wav",
}
HOST_V3 = {
    "type": "gpt_sovits_v3",
    "url": "http://127.0.0.1:9880",
    "text_language": "audo",
    "refer_wav_path": "cai.wav",
    "prompt_language": "中文",
    "prompt_text": "这是参考文字。",
    "top_k": 15,
    "cut_punc": "，",
    "speed": 1.1,
    "if_sr": "",
    "inp_refs": [],
}


def moechat(folder: Path, data: dict[str, Any] = MOECHAT, name: str = "config.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    for clip in ("main", "happy", "sad", "aux"):
        write_clip(folder / "ref" / f"{clip}.wav")
    return folder / name


def cabm(folder: Path, config: str, *clips: str) -> Path:
    write_clip(folder / "reference.wav")
    for clip in clips:
        write_clip(folder / "refAudio" / f"{clip}.wav")
    (folder / "config.json").write_text(config, encoding="utf-8")
    return folder


def host(tmp_path: Path, **more: Any) -> Path:
    data = {
        "prompt": "你是小智。",
        "TTS": {"EdgeTTS": {"type": "edge"}, "GPT_SOVITS_V2": HOST_V2, "V3": HOST_V3},
        **more,
    }
    (tmp_path / "host" / "data").mkdir(parents=True)
    file = tmp_path / "host" / "data" / ".config.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return tmp_path / "host"
