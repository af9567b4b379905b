"""The host in Docker: an image of its own with our package and doors in it, and the compose override that uses it.

The host's image keeps nothing but data/, a volume (docker-compose.yml of 0.9.1 to 0.9.6): the code goes into an image
built on the user's, the settings into the folder on the user's side that `data_folder` returns.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

import xiaozhi_persona
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.installer.door_files import MARK, is_ours
from xiaozhi_persona.installer.python import extras, package_source
from xiaozhi_persona.installer.survey import read_settings, uses_console
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import DOORS
from xiaozhi_persona.yaml_files import load_yaml

SERVER_IN_IMAGE = PurePosixPath("/opt/xiaozhi-esp32-server")
"""WORKDIR of the host's image (Dockerfile-server-base); holds its app.py."""

SERVER_URL = "http://host.docker.internal:9880/tts"
"""A GPT-SoVITS on the machine that runs Docker, as the container sees it."""

IMAGE = "xiaozhi-persona/xiaozhi-esp32-server:local"
OVERRIDE = "docker-compose.override.yml"
BUILD_FOLDER = "xiaozhi-persona-docker"
"""What docker build sees: the Dockerfile and a copy of our sources."""

_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_COMPOSE_WITH_CONSOLE = "docker-compose_all.yml"  # the host's name for it; docker does not find it by itself
_OVERRIDES = tuple(
    f"{name}.override.{end}" for name in ("compose", "docker-compose") for end in ("yml", "yaml")
)
_SOURCES = ("src", "memory", "roles", "providers", "bridge")
_PACKAGING = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")


def install_docker(folder: Path, *, show_only: bool, asr: bool = False) -> list[str]:
    """Write the Dockerfile, a copy of our sources and the override beside the compose file in `folder`.

    With `asr` the image gets the recognizer's packages, and keeps them in later runs. Returns what was done and what to do next; with `show_only` the texts instead, and nothing is written. Raises
    SettingsError where there is no compose file of the host, where something of the user's is in the way, or where
    our sources are not on this machine.
    """
    service = _find_service(folder)
    source = _checkout()
    build, override = folder / BUILD_FOLDER, folder / OVERRIDE
    asr = asr or f"[{extras(True)}]" in _text(build / "Dockerfile")
    dockerfile, compose = _dockerfile(service.image, asr), _override(service.name)
    for name in _OVERRIDES:
        file = folder / name
        if file.exists() and not _is_ours(file) and not _uses_our_image(file, service.name):
            raise SettingsError(
                tr(
                    "{file} 已经有了，不是这里写的，没有动它。请把下面这些并到里面，再运行一次。\n{compose}",
                    file=file,
                    compose=compose,
                )
            )
    if build.exists() and not _is_ours(build / "Dockerfile"):
        raise SettingsError(
            tr("{build} 已经有了，不是这里写的，没有动它。请给它换个名字，再运行一次。", build=build)
        )
    is_merged = any(_uses_our_image(folder / name, service.name) for name in _OVERRIDES)
    if show_only:
        lines = [f"{build / 'Dockerfile'}：", dockerfile]
        return lines if is_merged else [*lines, f"{override}：", compose]
    try:
        build.mkdir(exist_ok=True)
        (build / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        _copy_sources(source, build / "source")
        if not is_merged:
            override.write_text(compose, encoding="utf-8")
    except OSError as exc:
        raise SettingsError(
            tr(
                "写不了 {value}（{strerror}）。请检查权限和空间。",
                value=exc.filename or build,
                strerror=exc.strerror,
            )
        ) from exc
    command = _compose_command(service.file)
    return [
        tr("写了 {build}（Dockerfile 和本程序的一份拷贝）", build=build),
        *([] if is_merged else [tr("写了 {override}", override=override)]),
        tr("服务 {name} 改用在 {image} 上做出来的镜像", name=service.name, image=service.image),
        tr("下一步：cd {absolute} && {command} up -d --build", absolute=folder.absolute(), command=command),
        tr(
            "检查：{command} exec {name} xiaozhi-persona doctor {SERVER_IN_IMAGE}",
            command=command,
            name=service.name,
            SERVER_IN_IMAGE=SERVER_IN_IMAGE,
        ),
        tr(
            "GPT-SoVITS 就在这台机器上时，地址写 {SERVER_URL}，不能写 127.0.0.1（那是容器自己）。",
            SERVER_URL=SERVER_URL,
        ),
    ]


def uninstall_docker(folder: Path) -> list[str]:
    """Remove what install_docker wrote in `folder`; an override that was changed since is kept under another name."""
    lines = []
    override, build = folder / OVERRIDE, folder / BUILD_FOLDER
    try:
        if _is_ours(override):
            if _is_untouched(override):
                override.unlink()
                lines.append(tr("删了 {override}", override=override))
            else:
                kept = override.rename(override.with_name(OVERRIDE + ".old"))
                lines.append(
                    tr(
                        "{override} 后来改过，改名为 {name}，里面你自己的设置请移到别处",
                        override=override,
                        name=kept.name,
                    )
                )
        if build.is_dir() and _is_ours(build / "Dockerfile"):
            shutil.rmtree(build / "source", ignore_errors=True)
            (build / "Dockerfile").unlink()
            left = sorted(path.name for path in build.iterdir())
            if left:
                lines.append(tr("{build} 里还有 {left}，没有删", build=build, left=tr("、").join(left)))
            else:
                build.rmdir()
                lines.append(tr("删了 {build}", build=build))
    except OSError as exc:
        raise SettingsError(
            tr("删不了 {filename}（{strerror}）。请检查权限。", filename=exc.filename, strerror=exc.strerror)
        ) from exc
    for name in _OVERRIDES:
        if BUILD_FOLDER in _text(folder / name):
            lines.append(
                tr(
                    "{value} 里还有 build: ./{BUILD_FOLDER} 等几行，是手工并进去的，请删去它们",
                    value=folder / name,
                    BUILD_FOLDER=BUILD_FOLDER,
                )
            )
    if not lines:
        return [tr("{folder} 里没有本程序为 Docker 写的文件", folder=folder)]
    try:
        command = _compose_command(_find_service(folder).file)
    except SettingsError:
        command = "docker compose"
    return [
        *lines,
        tr(
            "下一步：cd {absolute} && {command} up -d，容器就回到原来的镜像；docker image rm {IMAGE} 删去做出来的。",
            absolute=folder.absolute(),
            command=command,
            IMAGE=IMAGE,
        ),
    ]


def data_folder(folder: Path) -> Path:
    """Return the folder that the compose file in `folder` mounts as the host's data/.

    Raises SettingsError when it mounts none, or a volume that has no folder of its own.
    """
    service = _find_service(folder)
    for source, target in service.volumes:
        if target == SERVER_IN_IMAGE / "data":
            if not source.startswith((".", "/", "~")) and ":" not in source:
                raise SettingsError(
                    tr(
                        "{file} 把卷 {source} 挂作 data，这里改不到它里面的设置。请改成文件夹，如 ./data。",
                        file=service.file,
                        source=source,
                    )
                )
            return folder / Path(source).expanduser()
    raise SettingsError(
        tr(
            "{file} 的 {name} 没有挂载 {value}，设置会丢。请在 volumes 里加上 ./data:{value}。",
            file=service.file,
            name=service.name,
            value=SERVER_IN_IMAGE / "data",
        )
    )


@dataclass(frozen=True)
class _Service:
    """The host's service in a compose file."""

    file: Path
    name: str
    image: str
    volumes: tuple[tuple[str, PurePosixPath], ...]
    """Source and target of each mount."""


def _find_service(folder: Path) -> _Service:
    problem = tr("{folder} 里没有小智服务端的 docker-compose.yml。请给出它所在的文件夹。", folder=folder)
    for name in _compose_files(folder):
        file = folder / name
        try:
            content = load_yaml(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
            raise SettingsError(
                tr("读不懂 {file}（{exc}）。请检查它的缩进和编码。", file=file, exc=exc)
            ) from exc
        services = content.get("services") if isinstance(content, Mapping) else None
        found = [
            (str(key), value)
            for key, value in (services.items() if isinstance(services, Mapping) else ())
            if isinstance(value, Mapping) and _is_server(str(key), value)
        ]
        if len(found) == 1:
            return _checked(file, *found[0])
        problem = tr(
            "{file} 里{value}小智服务端的服务（镜像 xiaozhi-esp32-server:server_…）。请检查给的文件夹。",
            file=file,
            value=tr("有几个") if found else tr("没有"),
        )
    raise SettingsError(problem)


def _compose_files(folder: Path) -> Iterator[str]:
    """Yield the names of the compose files in the order in which they count."""
    there = [name for name in _COMPOSE_FILES if (folder / name).is_file()]
    if (folder / _COMPOSE_WITH_CONSOLE).is_file() and (not there or _uses_console(folder)):
        yield _COMPOSE_WITH_CONSOLE
    yield from there


def _uses_console(folder: Path) -> bool:
    return uses_console(read_settings(folder / "data" / ".config.yaml"))


def _is_server(name: str, service: Mapping[str, Any]) -> bool:
    image = str(service.get("image", ""))
    if "xiaozhi-esp32-server" in image:
        return ":web" not in image
    targets = [target for _, target in _volumes(service)]
    return name == "xiaozhi-esp32-server" or any(SERVER_IN_IMAGE in (path, *path.parents) for path in targets)


def _checked(file: Path, name: str, service: Mapping[str, Any]) -> _Service:
    image = str(service.get("image") or "")
    if service.get("build") or not image:
        raise SettingsError(
            tr(
                "{file} 的 {name} 用自己的 Dockerfile（build）。"
                "请先用它做出镜像（docker build -t 名字 .），在 {name2} 里把 build 换成 image: 名字，再运行一次。",
                file=file,
                name=name,
                name2=file.name,
            )
        )
    if "$" in image:
        raise SettingsError(
            tr(
                "{file} 的 {name} 的镜像名 {image} 里有变量。请先把它换成完整的名字。",
                file=file,
                name=name,
                image=image,
            )
        )
    volumes = tuple(_volumes(service))
    for source, target in volumes:
        for door in DOORS:
            if target in (SERVER_IN_IMAGE / door.path, *(SERVER_IN_IMAGE / door.path).parents):
                raise SettingsError(
                    tr(
                        "{file} 把 {source} 挂到容器的 {target}，它会盖住镜像里的文件。"
                        "请删去这一行挂载；如果 {source} 就是服务端的代码，改为运行 {command}。",
                        file=file,
                        source=source,
                        target=target,
                        command=own_command(f"install {source}"),
                    )
                )
    return _Service(file, name, image, volumes)


def _volumes(service: Mapping[str, Any]) -> Iterator[tuple[str, PurePosixPath]]:
    volumes = service.get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        if isinstance(volume, Mapping):
            yield str(volume.get("source", "")), PurePosixPath(str(volume.get("target", "")))
        else:
            source, colon, target = str(volume).rpartition(":/")
            yield source, PurePosixPath(colon[1:] + target.partition(":")[0])


def _dockerfile(image: str, asr: bool) -> str:
    return _marked(
        f"FROM {image}\nCOPY source /opt/xiaozhi-persona\n"
        + f"# {tr('镜像里已有的包都不换版本。')}\n"
        + "RUN pip list --format=freeze > /tmp/host.txt \\\n"
        + f'    && pip install --no-cache-dir -c /tmp/host.txt "/opt/xiaozhi-persona[{extras(asr)}]"\n'
        + f"RUN xiaozhi-persona install --doors-only {SERVER_IN_IMAGE}\n"
    )


def _override(service: str) -> str:
    settings = {
        "build": {"context": f"./{BUILD_FOLDER}"},
        "image": IMAGE,
        "pull_policy": "build",
        "extra_hosts": ["host.docker.internal:host-gateway"],
    }
    return _marked(yaml.safe_dump({"services": {service: settings}}, sort_keys=False))


def _marked(text: str) -> str:
    """Put the header before a text: whose it is, and the sum that tells whether it was changed."""
    return (
        f"{MARK}{xiaozhi_persona.__version__} 写的（{_sum(text)}）；xiaozhi-persona uninstall --docker 会删掉它\n"
        + text
    )


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _is_ours(file: Path) -> bool:
    try:
        return is_ours(file.read_bytes())
    except OSError:
        return False


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _is_untouched(file: Path) -> bool:
    header, _, text = _text(file).partition("\n")
    return f"（{_sum(text)}）" in header


def _uses_our_image(file: Path, service: str) -> bool:
    """Whether a file that is not ours has what our override would say: someone merged it by hand."""
    if not file.is_file() or _is_ours(file):
        return False
    services = read_settings(file).get("services")
    settings = services.get(service) if isinstance(services, Mapping) else None
    build = settings.get("build") if isinstance(settings, Mapping) else None
    context = build.get("context") if isinstance(build, Mapping) else build
    return str(context).strip("./") == BUILD_FOLDER


def _compose_command(file: Path) -> str:
    if file.name in _COMPOSE_FILES:
        return "docker compose"
    return f"docker compose -f {file.name} -f {OVERRIDE}"


def _checkout() -> Path:
    source = Path(package_source())
    if not all((source / name).exists() for name in (*_SOURCES, *_PACKAGING[:2])):
        raise SettingsError(
            tr("做镜像要用本程序的源码，这里没有。请在下载的源码文件夹里运行：python3 run.py")
        )
    return source


def _copy_sources(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in _SOURCES:
        shutil.copytree(source / name, target / name, ignore=unwanted)
    for name in _PACKAGING:
        if (source / name).is_file():
            shutil.copy2(source / name, target / name)
