"""From a section of the host's settings to ours.

A door is given its own section only. Whatever the host's section has no key for stands in our config.yaml, in the
folder DATA below the folder in which the host runs.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from xiaozhi_persona.config import load_settings
from xiaozhi_persona.device_ids import normal_keys
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import set_language, tr
from xiaozhi_persona.providers.host.doors import Door
from xiaozhi_persona.settings import PathSettings, Settings
from xiaozhi_persona.settings_section import Section
from xiaozhi_persona.voice_settings import GptSovitsSettings, TtsSettings
from xiaozhi_persona.yaml_files import explain, load_yaml

DATA = Path("data") / "xiaozhi-persona"
"""Our folder in the host: data/ is what its containers keep."""

_OTHERS = (
    *("type", "url", "output_dir", "output_file", "language", "correct_words", "tts_timeout", "format"),
    *("private_voice", "ttsVolume", "ttsRate", "ttsPitch"),
)
"""Keys of the host that are no parameters of a voice. `language` is the one in which the host's model replies."""

_BETWEEN_WORDS = re.compile(r"[\s,，、;；]+")
_log = logging.getLogger(__name__)
_Section = TypeVar("_Section", bound=Section)


def tts_settings(section: Mapping[str, Any], server_dir: Path, door: Door) -> Settings:
    """Return our settings for the section of a voice `door`, `server_dir` being the folder that holds the host's app.py.

    Without an `api` of its own the door takes any engine: that of the section's key `engine`, else of our config.yaml.
    Raises SettingsError.
    """
    settings = base_settings(server_dir)
    if door.api:
        engine = "gpt_sovits"
        own: Section = _gpt_sovits(section, settings, door.api)
    else:
        engine = str(section.get("engine") or settings.tts.engine)
        own = _any_engine(section, settings, engine)
    tts = TtsSettings.model_validate(settings.tts.model_dump() | {"engine": engine})
    return settings.model_copy(update={engine: own, "tts": tts, **role_of(section)})


def _gpt_sovits(section: Mapping[str, Any], settings: Settings, api: str) -> GptSovitsSettings:
    from xiaozhi_persona.providers.tts.gpt_sovits.pool import separated
    from xiaozhi_persona.roles.voice_parameters import KNOWN

    parameters = {key: value for key, value in section.items() if key in KNOWN}
    if str(parameters.get("streaming_mode")).strip().lower() not in ("1", "2", "3", "fast"):
        parameters.pop("streaming_mode", None)  # the host knows on and off, and its own provider ignores it
    _tell_unknown(section, KNOWN)
    url = section.get("url")
    sovits = settings.gpt_sovits.model_dump() | {
        "servers": separated(str(url)) if url else settings.gpt_sovits.servers,
        "api": api,
        "parameters": settings.gpt_sovits.parameters | parameters,
    }
    return GptSovitsSettings.model_validate(sovits)


def _any_engine(section: Mapping[str, Any], settings: Settings, engine: str) -> Section:
    from xiaozhi_persona.providers.tts.engine import ENGINES

    if engine not in ENGINES:
        raise SettingsError(
            tr(
                "TTS 设置里的 engine 是 {engine!r}，没有这种语音合成。可以写：{engines}。",
                engine=engine,
                engines=tr("、").join(ENGINES),
            )
        )
    own: Section = getattr(settings, engine)
    _tell_unknown(section, (*type(own).model_fields, "engine"))
    return _with_keys(own, section, "TTS", engine)


def _tell_unknown(section: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = [key for key in section if key not in (*known, *_OTHERS, "role", "role_of_device")]
    if unknown:
        _log.warning("TTS 设置里的 %s 不认识，没有用它。", tr("、").join(map(str, unknown)))


def asr_settings(section: Mapping[str, Any], server_dir: Path) -> Settings:
    """Return our settings for an ASR section of the host: `model_dir`, as its fun_local has it, our own asr keys, `role`.

    A folder with FunASR's model.pt in it is for the engine `funasr`. Raises SettingsError.
    """
    settings = base_settings(server_dir)
    given = dict(section)
    folder = str(section.get("model_dir") or "")
    if folder:
        path = server_dir.absolute() / folder
        is_path = path.is_dir() or (path.parent != server_dir.absolute() and path.parent.is_dir())
        given["model"] = str(path) if is_path else folder  # else a name, such as paraformer-zh
        if (path / "model.pt").is_file() and not any(path.glob("model*.onnx")):
            given["engine"] = section.get("engine") or "funasr"
    asr = _with_keys(settings.asr, given, "ASR", "asr")
    return settings.model_copy(update={"asr": asr, **role_of(section)})


def _with_keys(own: _Section, section: Mapping[str, Any], kind: str, name: str) -> _Section:
    """Return our settings section `name` with those of its keys that a section of the host has. Raises SettingsError."""
    model = type(own)
    given = {
        key: _of_text(model, key, value)
        for key, value in section.items()
        if key in model.model_fields and value not in ("", None)  # the console sends blank fields, too
    }
    try:
        return model.model_validate(own.model_dump() | given)
    except ValidationError as exc:
        raise SettingsError(
            tr(
                "{kind} 设置里 {explain}。每一项的说明见 config.yaml 的 {name}。",
                kind=kind,
                explain=explain(exc.errors()[0], model),
                name=name,
            )
        ) from exc


def _of_text(model: type[Section], key: str, value: Any) -> Any:
    """Return the value of a key of ours that the console has sent as text."""
    annotation = model.model_fields[key].annotation
    if not isinstance(value, str) or annotation is str:
        return value
    if annotation == list[str]:
        return _BETWEEN_WORDS.split(value.strip())
    with contextlib.suppress(yaml.YAMLError):  # what stays text is told as such
        return load_yaml(value)
    return value


def base_settings(server_dir: Path) -> Settings:
    """Return what stands in our config.yaml in the host, or the defaults. Raises SettingsError."""
    folder = server_dir / DATA
    file = folder / "config.yaml"
    settings = load_settings(file) if file.is_file() else Settings().at(folder.absolute())
    set_language(settings.language)
    if "paths" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"paths": PathSettings(data=".")})


def role_of(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings `role` and `role_of_device` as far as a section has them. Raises SettingsError."""
    found: dict[str, Any] = {}
    role, of_device = section.get("role"), section.get("role_of_device")
    if role:
        found["role"] = str(role)
    if isinstance(of_device, str):  # the console sends texts
        with contextlib.suppress(yaml.YAMLError):  # what stays text is told below
            of_device = load_yaml(of_device)
    if of_device:
        if not isinstance(of_device, Mapping):
            raise SettingsError(
                tr(
                    "role_of_device 应为“设备编号: 角色”，不能是 {of_device!r}。例如 {{'aa:bb:cc:dd:ee:ff': xiaoyu}}",
                    of_device=of_device,
                )
            )
        found["role_of_device"] = normal_keys({str(device): str(name) for device, name in of_device.items()})
    return found
