"""Where a model is: a folder of the user's, or a name of ModelScope or Hugging Face, downloaded once.

The hubs' own packages do the work: they show a progress bar, go on where an interrupted download stopped, and check what
came. They are asked again only until a download is complete, so that a start needs no network.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import PackageMissing, ServiceUnavailable, SettingsError
from xiaozhi_persona.settings import AsrSettings

_COMPLETE = "download-complete.txt"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_HUBS = {"ms": ("ModelScope", "modelscope"), "hf": ("Hugging Face", "huggingface_hub")}


def find_model(model: str, settings: AsrSettings, base: Path, downloads: Path) -> Path:
    """Return the folder of a model; a relative one starts at `base`. Downloads it where it is the name of one.

    Raises SettingsError, PackageMissing (the hub's package is not installed), ServiceUnavailable (no network).
    """
    folder = base / Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_name(model):
        raise SettingsError(
            f"asr.model 等处写的 {model}，没有文件夹 {folder}，它也不像模型库里的名字（如 iic/SenseVoiceSmall）。请检查 asr.model。"
        )
    return _download(model, settings, _target(model, settings, downloads))


def is_hub_name(model: str) -> bool:
    """Whether `model` looks like a name of a hub: owner/model."""
    return bool(_NAME.fullmatch(model)) and not model.startswith(".")


def is_to_be_downloaded(model: str, settings: AsrSettings, base: Path, downloads: Path) -> bool:
    """Whether find_model would download `model` now."""
    if (base / Path(model).expanduser()).is_dir() or not is_hub_name(model):
        return False
    return not (_target(model, settings, downloads) / _COMPLETE).is_file()


def _target(model: str, settings: AsrSettings, downloads: Path) -> Path:
    return downloads / settings.hub / model.replace("/", "--")


def _download(model: str, settings: AsrSettings, target: Path) -> Path:
    if (target / _COMPLETE).is_file():
        return target
    title, package = _HUBS[settings.hub]
    try:
        snapshot_download: Any = importlib.import_module(package).snapshot_download
    except ImportError as exc:
        raise PackageMissing(
            f"下载模型 {model} 要用 {package}：运行 pip install {package}，或自己下载后把文件夹写进 asr.model。"
        ) from exc
    options = {"local_dir": str(target)}
    if settings.mirror:
        if "endpoint" in inspect.signature(snapshot_download).parameters:
            options["endpoint"] = settings.mirror.rstrip("/")
        else:  # ModelScope before 1.30
            os.environ["MODELSCOPE_DOMAIN"] = settings.mirror.split("://")[1].rstrip("/")
    try:
        target.mkdir(parents=True, exist_ok=True)
        snapshot_download(model, **options)
    except Exception as exc:  # each hub has its own errors, and some are the network's
        raise ServiceUnavailable(
            f"从 {title} 下载不了模型 {model}（{type(exc).__name__}：{_first_line(exc)}）。请检查网络和名字，换 asr.hub 或"
            f" asr.mirror，再运行一次会接着下载；没有网络就把模型的文件夹复制来，写进 asr.model。"
        ) from exc
    (target / _COMPLETE).write_text(f"{model}\n", encoding="utf-8")
    return target


def _first_line(exc: Exception) -> str:
    return next(iter(str(exc).strip().splitlines()), "")[:200]
