"""Where a model is: a folder of the user's, or a name of ModelScope or Hugging Face, downloaded once.

The hubs' own packages do the work: they show a progress bar, go on where an interrupted download stopped, and check what
came. They are asked again only until a download is complete, so that a start needs no network. They work in a process of
their own, this file being run there, for nothing in them can be stopped, and a model takes minutes or hours to come.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import (
    PackageMissing,
    PersonaError,
    ServiceUnavailable,
    SettingsError,
    first_line,
    pip_install,
)
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import AsrSettings

_COMPLETE = "download-complete.txt"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
# Their title, the package to install, the module in it that has `snapshot_download`. modelscope itself is 66 MB more.
_HUBS = {
    "ms": ("ModelScope", "modelscope-hub", "modelscope_hub.compat"),
    "hf": ("Hugging Face", "huggingface_hub", "huggingface_hub"),
}
_LOOK_S = 0.1


def find_model(model: str, settings: AsrSettings, base: Path, downloads: Path, stop: threading.Event) -> Path:
    """Return the folder of a model; a relative one starts at `base`. Downloads it where it is the name of one.

    `stop` ends the download. Raises SettingsError, PackageMissing (the hub's package is not installed),
    ServiceUnavailable (no network, or it was stopped).
    """
    folder = base / Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise SettingsError(
            tr(
                "模型 {folder} 是一个文件。请写它所在的文件夹 {parent}（asr.model）。",
                folder=folder,
                parent=folder.parent,
            )
        )
    if not is_hub_name(model, base):
        raise SettingsError(
            tr(
                "没有模型的文件夹 {folder}，{model} 也不像模型库里的名字（如 iic/SenseVoiceSmall-onnx）。"
                "请检查 asr.model。",
                folder=folder,
                model=model,
            )
        )
    target = _target(model, settings, downloads)
    if not (target / _COMPLETE).is_file():
        try:
            _download(model, settings, target, stop)
        except PersonaError as exc:
            raise type(exc)(
                tr("没有文件夹 {folder}，当作模型库里的名字：{exc}", folder=folder, exc=exc)
            ) from exc
    return target


def is_hub_name(model: str, base: Path) -> bool:
    """Whether `model` looks like a name of a hub: owner/model. With a folder `owner` in `base` a folder is meant."""
    return bool(_NAME.fullmatch(model)) and not (base / model).parent.is_dir()


def is_to_be_downloaded(model: str, settings: AsrSettings, base: Path, downloads: Path) -> bool:
    """Whether find_model would download `model` now."""
    if (base / Path(model).expanduser()).is_dir() or not is_hub_name(model, base):
        return False
    return not (_target(model, settings, downloads) / _COMPLETE).is_file()


def _target(model: str, settings: AsrSettings, downloads: Path) -> Path:
    return downloads / settings.hub / model.replace("/", "--")


def fetch(model: str, hub: str, mirror: str, target: Path) -> None:
    """Download a model into the folder `target`, in this process. Raises PackageMissing, ServiceUnavailable."""
    title, package, module = _HUBS[hub]
    try:
        snapshot_download: Any = importlib.import_module(module).snapshot_download
    except ImportError as exc:
        raise PackageMissing(
            tr(
                "下载模型 {model} 要用 {package}：运行 {pip_install}，或自己下载后把文件夹写进 asr.model。",
                model=model,
                package=package,
                pip_install=pip_install(package),
            )
        ) from exc
    options = {"local_dir": str(target)}
    if mirror:
        options["endpoint"] = mirror.rstrip("/")
    try:
        target.mkdir(parents=True, exist_ok=True)
        snapshot_download(model, **options)
        (target / _COMPLETE).write_text(f"{model}\n", encoding="utf-8")
    except Exception as exc:  # each hub has its own errors, and some are the network's
        raise ServiceUnavailable(
            tr(
                "从 {title} 下载不了模型 {model}（{name}：{first_line}）。"
                "请检查网络和名字，换 asr.hub 或 asr.mirror，再运行一次会接着下载；没有网络就把模型的文件夹复制来，写进 asr.model。",
                title=title,
                model=model,
                name=type(exc).__name__,
                first_line=first_line(exc),
            )
        ) from exc


def _download(model: str, settings: AsrSettings, target: Path, stop: threading.Event) -> None:
    """Let another process fetch a model; it ends when `stop` is set, and with this process, however that ends."""
    command = (sys.executable, "-m", "xiaozhi_persona.providers.asr.model_hub")
    given = (model, settings.hub, settings.mirror, str(target))
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}  # no module of the folder we were started in
    with subprocess.Popen(
        [*command, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        while process.poll() is None:
            if stop.wait(_LOOK_S):
                process.kill()
        assert process.stdout is not None
        answer = process.stdout.read().decode("utf-8", errors="replace")
    if process.returncode == 0:
        return
    if stop.is_set():
        raise ServiceUnavailable(tr("模型 {model} 没有下载完就停了，再运行一次会接着下载。", model=model))
    kind, _, message = answer.partition(" ")
    if kind == PackageMissing.__name__:
        raise PackageMissing(message)
    raise ServiceUnavailable(
        message or tr("下载模型 {model} 的进程中途停了，再运行一次会接着下载。", model=model)
    )


def _main(model: str, hub: str, mirror: str, target: str) -> int:
    """Fetch a model for `_download`: what goes wrong is written to the standard output, and nothing else is."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C comes to both; the other process decides
    threading.Thread(target=_end_with_the_other_process, daemon=True).start()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            fetch(model, hub, mirror, Path(target))
    except PersonaError as exc:
        sys.stdout.buffer.write(f"{type(exc).__name__} {exc}".encode("utf-8", "replace"))
        return 1
    return 0


def _end_with_the_other_process() -> None:
    os.read(0, 1)  # nothing comes before its end of the pipe is closed
    os._exit(1)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
