"""The recognizer that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.model_hub import find_model
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL, load_onnx_model
from xiaozhi_persona.providers.asr.recognizer import Model, ModelRecognizer, Recognizer
from xiaozhi_persona.settings import Settings


def open_recognizer(settings: Settings, hotwords: Iterable[str] = ()) -> Recognizer:
    """Return the recognizer, nothing loaded yet. `hotwords` come beside those of the settings.

    Raises SettingsError for settings that cannot be used.
    """
    asr = settings.asr
    words = tuple(dict.fromkeys(word for text in (*asr.hotwords, *hotwords) for word in text.split()))
    base, downloads, closing = settings.path("."), settings.data_dir / "models", threading.Event()
    if asr.engine == "funasr_server":
        from xiaozhi_persona.providers.asr.funasr_server import FunasrServerRecognizer

        certificate = asr.server_certificate
        file = settings.path(certificate) if certificate not in ("", "off") else None
        return FunasrServerRecognizer(asr, words, file)
    if asr.engine == "funasr":
        from xiaozhi_persona.providers.asr.torch_models import DEFAULT_MODEL, load_torch_model

        name = tr("FunASR（{value}）", value=asr.model or DEFAULT_MODEL)
        return ModelRecognizer(
            name, asr, lambda: load_torch_model(asr, base, downloads, words, closing), closing
        )

    def load() -> Model:
        folder = find_model(asr.model, asr, base, downloads, closing) if asr.model else TINY_MODEL
        return load_onnx_model(folder, asr, words)

    name = (
        tr("FunASR ONNX（{model}）", model=asr.model)
        if asr.model
        else tr("FunASR，自带的小模型：只认识演示的句子")
    )
    return ModelRecognizer(name, asr, load, closing)
