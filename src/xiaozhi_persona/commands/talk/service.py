"""The systemd user service that runs `talk`: its unit, and systemctl.

Source: systemd.service(5), systemd.syntax(7). A user service, since PipeWire and PulseAudio serve their user only.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr

UNIT = "xiaozhi-persona-talk.service"

_BOOTED = Path("/run/systemd/system")
"""Is there where systemd runs the machine (sd_booted(3))."""
_TIMEOUT_S = 30.0


def unit_text(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Return the unit that runs a command in a folder. Raises SettingsError for words that no unit can hold."""
    variables = "".join(
        f"Environment={_quoted(f'{key}={value}', '$')}\n" for key, value in environment.items()
    )
    return f"""\
[Unit]
Description=A voice device (xiaozhi-persona)
After=pipewire.service pipewire-pulse.service wireplumber.service pulseaudio.service
# It is started again for as long as it takes: a sound card may come late.
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory={_without_newline(str(folder)).replace("%", "%%")}
Environment=PYTHONUNBUFFERED=1
{variables}ExecStart={" ".join(map(_quoted, words))}
# As Ctrl+C does, so that the light goes out.
KillSignal=SIGINT
TimeoutStopSec=10
Restart=always
RestartSec=2
# 2: wrong settings, which a new start does not mend.
RestartPreventExitStatus=2
SuccessExitStatus=130

[Install]
WantedBy=default.target
"""


def unit_file() -> Path:
    """Return where the user's unit stands."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT


def require_systemd() -> None:
    """Raise PersonaError where no systemd runs services of this user, with what to do instead."""
    if shutil.which("systemctl") is None or not _BOOTED.is_dir():
        raise PersonaError(
            tr("这台机器没有运行 systemd，装不了服务。请用这台机器自己的办法在开机时运行 talk")
        )
    if os.environ.get("SUDO_USER"):
        raise PersonaError(tr("不要用 sudo：声音属于登录的用户，服务也装在这个用户里。去掉 sudo 再运行一次"))
    systemctl("show-environment")


def systemctl(*words: str) -> None:
    """Ask the user's systemd. Raises PersonaError when it refuses."""
    command = ["systemctl", "--user", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PersonaError(
            tr("{command} 没有成功（{reason}）", command=" ".join(command), reason=exc)
        ) from exc
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise PersonaError(
            tr(
                "{command} 没有成功：{said}。没有登录会话时先运行 sudo loginctl enable-linger {user}，再重新登录",
                command=" ".join(command),
                said=lines[-1] if lines else done.returncode,
                user=getpass.getuser(),
            )
        )


def lingers() -> bool:
    """Whether the user's services run without him being logged in, and so from the start of the machine."""
    return (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()


def write_unit(file: Path, text: str) -> None:
    """Write the unit, which may hold a token, for this user only. Raises PersonaError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(
            os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as output:
            os.fchmod(output.fileno(), 0o600)
            output.write(text)
    except OSError as exc:
        raise PersonaError(
            tr("写不了 {file}（{reason}）。请检查文件夹的权限", file=file, reason=exc.strerror)
        ) from exc


def _quoted(word: str, unchanged: str = "") -> str:
    """Return a word of a command line, or an assignment, in which only itself is read."""
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        if char not in unchanged:
            word = word.replace(char, escaped)
    return f'"{_without_newline(word)}"'


def _without_newline(word: str) -> str:
    if not word.isprintable():
        raise SettingsError(tr("服务的命令行里不能有换行等控制字符：{word!r}", word=word))
    return word
