#!/usr/bin/env python3
"""装好 xiaozhi-persona（在 .venv/ 里）并运行它。只需要 Python 3.10 或更新的版本。

python3 run.py          装好，演示一轮对话，然后开始服务
python3 run.py --once   装好，演示一轮对话，把回答存到 out/reply.wav，结束
python3 run.py test     装好测试所需，跑全部测试和检查
python3 run.py test --torch   另装 FunASR 和 torch（约 2 GB），只跑用到它们的测试
python3 run.py 命令 …    等于在 .venv 里运行 xiaozhi-persona 命令 …
"""

import ast
import ctypes.util
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.txt"

EXTRAS = ["bridge", "asr", "espeak"]
# funasr-onnx pins numpy < 1.27, which has no wheel for Python 3.13. It runs with newer ones. It imports librosa
# without using it for arrays, so librosa's heavy dependencies are left out.
UNPINNED = ["funasr-onnx>=0.4.1", "librosa"]
IMPORTED = ["kaldi-native-fbank", "sentencepiece", "jieba", "lazy_loader", "onnxruntime"]

# The CPU build: what PyPI has under the same number brings several GB of CUDA.
TORCH_CONSTRAINTS = ".ci/torch-constraints.txt"
TORCH = "torch==2.13.0+cpu"
TORCH_TESTS = "tests/test_asr_torch.py"


def main(arguments):
    if sys.version_info < (3, 10):
        return f"需要 Python 3.10 或更新的版本，现在是 {sys.version.split()[0]}。"
    if arguments[:1] in (["--help"], ["-h"]):
        return show_help()
    testing = arguments[:1] == ["test"]
    try:
        problem = install(EXTRAS + ["test"] * testing)
        if not problem and testing and "--torch" in arguments:
            if not has_torch():
                say(f"跳过：这里没有 {TORCH}（CPU 版，Python 3.11 的），而别的有好几个 GB")
                return 0
            problem = install([*EXTRAS, "test", "asr-torch"])
    except KeyboardInterrupt:
        return 130
    if problem:
        return problem
    if testing and "--torch" in arguments:
        more = [argument for argument in arguments[1:] if argument != "--torch"]
        return subprocess.call([str(PYTHON), "-m", "pytest", TORCH_TESTS, *more], cwd=ROOT)
    if testing:
        return run_tests(arguments[1:])
    if arguments[:1] == ["--once"]:
        arguments = ["serve", "--demo", "--once", *arguments[1:]]
    elif not arguments or arguments[0].startswith("--"):
        arguments = ["serve", "--demo", *arguments]
    return start([str(PYTHON), "-m", "xiaozhi_persona", *arguments])


def show_help():
    """What can be run, known without installing anything."""
    print(__doc__.strip())
    print("\n命令（每个都有 --help，如 python3 run.py talk --help）：")
    tree = ast.parse((ROOT / "src" / "xiaozhi_persona" / "cli.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS":
            for name, purpose in ast.literal_eval(node.value).items():
                print(f"    {name:<12}{purpose}")
    return 0


def start(command):
    """Run a command until it ends by itself. Ctrl+C reaches it too and SIGTERM is passed on: it closes what is open."""
    child = subprocess.Popen(command, cwd=ROOT)
    handlers = {
        signal.SIGINT: lambda *_: None,  # subprocess.call would kill the child a quarter of a second later
        signal.SIGTERM: lambda *_: child.terminate(),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def install(extras):
    """Make .venv/ hold the project with its extras; return what went wrong, if anything."""
    state = fingerprint()
    have = STAMP.read_text(encoding="utf-8").split() if STAMP.exists() else []
    if PYTHON.exists() and have[:1] == [state] and set(extras) <= set(have[1:]):
        return None
    started = time.monotonic()
    if have:
        STAMP.unlink()  # if this is interrupted, the next start does it again
    if not venv_works():
        say("建立虚拟环境 .venv")
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            return (
                f"这个 Python 没有 venv 或 ensurepip。请运行：sudo apt install python{version}-venv\n"
                f"{made.stdout}{made.stderr}".strip()
            )
    steps = [
        (
            "安装 xiaozhi-persona 和它用到的包（第一次要一两分钟）",
            ["-e", f".[{','.join(extras)}]", "--config-settings", "editable_mode=strict"],
        ),
        # The wheel declares torch, which only its own loader needs; we take the model file out of it.
        ("安装语音端点检测模型（silero-vad）", ["--no-deps", "silero-vad>=6"]),
    ]
    if venv_version() >= (3, 13):
        steps.append(("安装语音识别用到的包", IMPORTED))
        steps.append(("安装语音识别（funasr-onnx）", ["--no-deps", *UNPINNED]))
    if ctypes.util.find_library("opus") is None:
        steps.append(("系统没有 libopus，改用 PyAV 带的", ["av"]))
    if "asr-torch" in extras:
        steps[0][1].extend(["-c", TORCH_CONSTRAINTS])
        steps.append(("安装导出模型用到的包", ["onnx", "onnxscript", "-c", TORCH_CONSTRAINTS]))
    for number, (label, what) in enumerate(steps, 1):
        say(f"[{number}/{len(steps)}] {label}")
        problem = pip(what)
        if problem:
            return problem
    STAMP.write_text("\n".join([state, *extras]) + "\n", encoding="utf-8")
    say(f"安装完成，用时 {time.monotonic() - started:.0f} 秒")
    return None


def has_torch():
    """Whether pip can find the torch that the tests are made for."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", TORCH]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def fingerprint():
    """What the installation depends on: the packaging files, the names of our files, Python, the folder."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in ("pyproject.toml", "setup.cfg", "run.py"):
        digest.update((ROOT / file).read_bytes())
    for folder in ("src", "memory", "roles", "providers", "bridge"):
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                "__pycache__" not in path.parts
                and not path.name.endswith(".pyc")
                and ".egg-info" not in str(path)
            ):
                digest.update(str(path.relative_to(ROOT)).encode())
    return digest.hexdigest()


def venv_works():
    """Whether .venv/ has a Python with pip: one that broke off half-made, or lost its Python to an upgrade, has not."""
    command = [str(PYTHON), "-m", "pip", "--version"]
    return PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


def venv_version():
    """The Python of .venv/, which may be another one than this."""
    text = subprocess.check_output([str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"], text=True)
    return tuple(int(part) for part in text.split())


def pip(what):
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
    return f"安装失败，多半是网络问题；再运行一次会接着装。命令：{' '.join(command)}\n{tail}"


def run_tests(more):
    """Every check, each shown; the exit code tells whether all were well."""
    checks = [
        ("ruff", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy", "-p", "xiaozhi_persona"]),
        # Most of the time is real-time waiting: more processes than cores; a file stays in one of them.
        ("pytest", ["pytest", "-n", "4", "--dist", "loadfile", *more]),
    ]
    failed = []
    for name, command in checks:
        say(name)
        if subprocess.call([str(PYTHON), "-m", *command], cwd=ROOT):
            failed.append(name)
    return f"没有通过：{'、'.join(failed)}" if failed else 0


def say(line):
    print(f"· {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
