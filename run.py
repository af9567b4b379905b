#!/usr/bin/env python3
# -*- coding: utf-8 -*-
"""装好 xiaozhi-persona（在 .venv/ 里）并运行它。只需要 Python 3.10 或更新的版本。

python3 run.py          装好，演示一轮对话，然后开始服务
python3 run.py --once   装好，演示一轮对话，把回答存到 out/reply.wav，结束
python3 run.py test     装好测试所需，跑全部测试和检查
python3 run.py test --torch   另装 FunASR 和 torch（约 2 GB），只跑用到它们的测试
python3 run.py 命令 …    等于在 .venv 里运行 xiaozhi-persona 命令 …

下载慢或者连不上时加上 --mirror tuna（清华）、--mirror aliyun（阿里云）或 --mirror 网址，以后都用它。
"""
# Python 2 and 3.6 can read this file, so that they can say which Python is needed: no f-strings, no [*a, *b].

import sys

if sys.version_info < (3, 10):
    sys.exit(
        "需要 Python 3.10 或更新的版本，现在是 "
        + sys.version.split()[0]
        + "。请用新的 Python 运行：python3 run.py (Python 3.10 or newer is needed.)"
    )

import ast
import configparser
import ctypes.util
import functools
import hashlib
import json
import locale
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

WINDOWS = os.name == "nt"
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
PROGRAM = PYTHON.with_name("xiaozhi-persona.exe" if WINDOWS else "xiaozhi-persona")
PIP_SETTINGS = VENV / ("pip.ini" if WINDOWS else "pip.conf")
STAMP = VENV / "installed.txt"

EXTRAS = ["bridge", "asr-lean", "espeak"]
# They declare more than they use here, hundreds of MB: funasr-onnx librosa with numba, scipy and scikit-learn, and a
# numpy that Python 3.13 has no wheel for; silero-vad torch, which only its own loader needs.
WITHOUT_DEPENDENCIES = ["funasr-onnx>=0.4.1", "librosa", "silero-vad>=6"]

MIRRORS = {
    "tuna": "https://pypi.tuna.tsinghua.edu.cn/simple",
    "aliyun": "https://mirrors.aliyun.com/pypi/simple/",
}
# For the first step only, which is small: whether there is a network is known within seconds.
IMPATIENT = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "8"}
NO_NETWORK = re.compile(r"Retrying \(|from versions: none|ConnectionPool|Timeout|ProxyError")

# The CPU build: what PyPI has under the same number brings several GB of CUDA.
TORCH_CONSTRAINTS = ".ci/torch-constraints.txt"
TORCH = "torch==2.13.0+cpu"
TORCH_TESTS = "tests/test_asr_torch.py"

OWN_SETTINGS = ROOT / "data" / ".config.yaml"


def main(arguments):
    try:
        mirror, arguments = take_mirror(arguments)
        if arguments[:1] in (["--help"], ["-h"]):
            return show_help()
        testing = arguments[:1] == ["test"]
        problem = install(EXTRAS + ["test"] * testing, mirror)
        if problem:
            return problem
        if testing:
            return run_tests(arguments[1:])
        if not arguments or arguments[0].startswith("--"):
            arguments = ["serve", "--demo"] + arguments
        return start(arguments)
    except KeyboardInterrupt:
        return 130


def take_mirror(arguments):
    """Return the address that --mirror names, "" without one, and the other arguments. Ends the program for a wrong one."""
    for at, word in enumerate(arguments):
        if word.split("=")[0] != "--mirror":
            continue
        name, end = (
            (word.partition("=")[2], at + 1) if "=" in word else ("".join(arguments[at + 1 : at + 2]), at + 2)
        )
        if name not in MIRRORS and "://" not in name:
            say(tr("--mirror 后面写 {} 或一个网址（https://…/simple）").format(tr("、").join(MIRRORS)))
            sys.exit(2)
        return MIRRORS.get(name, name), arguments[:at] + arguments[end:]
    return "", arguments


def show_help():
    """What can be run, known without installing anything."""
    lines = [tr(__doc__.strip()).replace("python3 run.py", typed())]
    lines.append(tr("\n命令（每个都有 --help，如 {} talk --help）：").format(typed()))
    tree = ast.parse((ROOT / "src" / "xiaozhi_persona" / "cli.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS":
            for name, purpose in ast.literal_eval(node.value).items():
                lines.append("    {:<12}{}".format(name, tr(purpose)))
    try:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; what is left is not to be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def tr(text):
    """Return a text in the language of the system, or of XZP_LANGUAGE, as xiaozhi_persona.language does."""
    return english().get(text, text)


@functools.lru_cache(None)
def english():
    """Return the English of every text, or nothing where Chinese is read."""
    chosen = os.environ.get("XZP_LANGUAGE", "auto")
    names = [os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG")] + [locale.getlocale()[0]]
    if chosen == "zh" or (chosen != "en" and not (list(filter(None, names)) + [""])[0].startswith("en")):
        return {}
    return json.loads((ROOT / "src" / "xiaozhi_persona" / "locale" / "en.json").read_text(encoding="utf-8"))


def typed():
    """How this program was started, to be typed again in the same folder."""
    python = sys.orig_argv[0]
    if Path(python).name != python:  # a double click, the launcher, pyenv and macOS name the whole path
        names = ["py"] if WINDOWS else ["python3", "python"]
        python = next((name for name in names if WINDOWS and shutil.which(name) or is_this(name)), python)
    words = [python, sys.argv[0]]
    return subprocess.list2cmdline(words) if WINDOWS else shlex.join(words)


def is_this(name):
    """Whether the shell finds the Python that runs this under that name."""
    found = shutil.which(name)
    return found is not None and os.path.samefile(found, sys.executable)


def start(arguments):
    """Become the program, which so gets every signal and stands in the caller's folder.

    It is told how it was started, for its advice, and where the settings of the project lie.
    """
    command = [str(PROGRAM)] + arguments
    environment = dict(os.environ, XIAOZHI_PERSONA_COMMAND=typed(), XIAOZHI_PERSONA_PROJECT=str(ROOT))
    if arguments[:1] == ["serve"] and not OWN_SETTINGS.exists():
        subprocess.call(
            [str(PROGRAM), "init"], env=environment, stdout=2
        )  # the settings that people change first
    if not WINDOWS:
        os.execve(command[0], command, environment)
    child = subprocess.Popen(command, env=environment)  # there exec would give the prompt back at once
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl+C reaches the child too, which closes what is open
    return child.wait()


def install(extras, mirror=""):
    """Make .venv/ hold the project with its extras; return what went wrong, if anything."""
    state = fingerprint()
    have = STAMP.read_text(encoding="utf-8").split() if STAMP.exists() else []
    if PYTHON.exists() and have[:1] == [state] and set(extras) <= set(have[1:]) and not has_stale_links():
        if mirror:
            use_mirror(mirror)
        return None
    started = time.monotonic()
    if have:
        STAMP.unlink()  # if this is interrupted, the next start does it again
    if not venv_works():
        say(tr("建立虚拟环境 .venv"))
        kept = PIP_SETTINGS.read_text(encoding="utf-8") if PIP_SETTINGS.exists() else ""
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            return (
                tr("这个 Python 没有 venv 或 ensurepip。请运行：sudo apt install python{}.{}-venv\n{}{}")
                .format(sys.version_info[0], sys.version_info[1], made.stdout, made.stderr)
                .strip()
            )
        if kept:
            PIP_SETTINGS.write_text(kept, encoding="utf-8")
    if mirror:
        use_mirror(mirror)
    project = ["-e", ".[{}]".format(",".join(extras)), "--config-settings", "editable_mode=strict"]
    if not has_libopus():
        project.append("av")  # PyAV's wheel carries one
    if "asr-torch" in extras:
        project.extend(["onnx", "onnxscript", "-c", TORCH_CONSTRAINTS])
    steps = [
        (tr("安装工具（setuptools）"), ["setuptools>=70.1"], IMPATIENT),
        # Without isolation nothing is downloaded when only the links are laid anew.
        (tr("安装 xiaozhi-persona 和它用到的包（第一次要一两分钟）"), ["--no-build-isolation"] + project, {}),
        (
            tr("安装语音识别（funasr-onnx）和语音端点检测（silero-vad）"),
            ["--no-deps"] + WITHOUT_DEPENDENCIES,
            {},
        ),
    ]
    for number, (label, what, defaults) in enumerate(steps, 1):
        say("[{}/{}] {}".format(number, len(steps), label))
        problem = pip(what, defaults)
        if problem:
            return problem
    STAMP.write_text("\n".join([state] + extras) + "\n", encoding="utf-8")
    say(tr("安装完成，用时 {:.0f} 秒").format(time.monotonic() - started))
    return None


def fingerprint():
    """What the installation depends on: the packaging files, the names of our files, Python, libopus, the folder."""
    digest = hashlib.sha256("{} {} {}".format(sys.version_info[:2], has_libopus(), ROOT).encode())
    for file in ("pyproject.toml", "setup.cfg", "run.py"):
        digest.update((ROOT / file).read_bytes())
    for _, folder in packages():
        for path in files(folder):
            digest.update(str(path.relative_to(ROOT)).encode())
    return digest.hexdigest()


def has_stale_links():
    """Whether other files would be imported than lie here.

    setuptools links ours into build/. Where links cannot be symbolic (Windows without developer mode) they are hard:
    one whose file was replaced, as git does, keeps the old content.
    """
    version = setup_cfg()["metadata"]["version"]
    for tree in (ROOT / "build").glob("__editable__.xiaozhi_persona-{}-*".format(version)):
        for package, folder in packages():
            for path in files(folder):
                link = tree.joinpath(*package.split(".")) / path.relative_to(folder)
                if link.is_file() and not link.samefile(path):
                    return True
    return False


def setup_cfg():
    config = configparser.ConfigParser(interpolation=None)
    config.read(str(ROOT / "setup.cfg"), encoding="utf-8")
    return config


def packages():
    """Each import package that has a folder of its own, with that folder."""
    lines = setup_cfg()["options"]["package_dir"].strip().splitlines()
    return [(name.strip(), ROOT / folder.strip()) for name, folder in (line.split("=") for line in lines)]


def files(folder):
    return (
        path
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts and path.suffix != ".pyc" and not path.is_dir()
    )


def has_libopus():
    return ctypes.util.find_library("opus") is not None


def venv_works():
    """Whether .venv/ has a Python with pip: one that broke off half-made, or lost its Python to an upgrade, has not."""
    command = [str(PYTHON), "-m", "pip", "--version"]
    return PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


def use_mirror(address):
    """Write a package index into the settings that pip reads in .venv/."""
    if os.environ.get("PIP_INDEX_URL"):
        say(tr("环境变量 PIP_INDEX_URL 优先于 --mirror，用的是它"))
    PIP_SETTINGS.write_text("[global]\nindex-url = {}\n".format(address), encoding="utf-8")


def pip(what, defaults):
    """Install, showing what pip shows; `defaults` are for its environment. Return what went wrong, if anything."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"] + what
    options = {"cwd": str(ROOT), "env": dict(defaults, **os.environ), "text": True, "errors": "replace"}
    said = []
    # Its progress does not go to our standard output: what is run afterwards may write data there.
    with subprocess.Popen(command, stdout=2, stderr=subprocess.PIPE, **options) as child:
        try:
            for line in child.stderr:
                sys.stderr.write(line)
                said.append(line)
        except BaseException:
            child.terminate()
            raise
    if not child.returncode:
        return None
    if NO_NETWORK.search("".join(said)):
        return tr(
            "下载不了安装用的包，网络不通或太慢。再运行一次会接着装；换一个镜像：\n{} --mirror tuna（或 aliyun，或网址）"
        ).format(typed())
    return tr("安装失败，原因在上面。处理好再运行一次，会接着装。命令：{}").format(" ".join(command))


def run_tests(more):
    """Every check, each shown; the exit code tells whether all were well."""
    if "--torch" in more:
        more = [argument for argument in more if argument != "--torch"]
        if not has_torch():
            say(tr("跳过：这里没有 {}（CPU 版，Python 3.11 的），而别的有好几个 GB").format(TORCH))
            return 0
        problem = install(EXTRAS + ["test", "asr-torch"])
        return problem or subprocess.call([str(PYTHON), "-m", "pytest", TORCH_TESTS] + more, cwd=str(ROOT))
    checks = [
        ("ruff", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy", "-p", "xiaozhi_persona"]),
        # Most of the time is real-time waiting: more processes than cores; a file stays in one of them.
        ("pytest", ["pytest", "-rfEs", "-n", "4", "--dist", "loadfile"] + more),
    ]
    failed = []
    for name, command in checks:
        say(name)
        if subprocess.call([str(PYTHON), "-m"] + command, cwd=str(ROOT)):
            failed.append(name)
    return tr("没有通过：{}").format(tr("、").join(failed)) if failed else 0


def has_torch():
    """Whether pip can find the torch that the tests are made for."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", TORCH]
    return subprocess.run(command, cwd=str(ROOT), capture_output=True).returncode == 0


def say(line):
    sys.stderr.write("· {}\n".format(line))
    sys.stderr.flush()


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a terminal in another code page, or a file
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    sys.exit(main(sys.argv[1:]))
