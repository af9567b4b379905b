"""The folders: who imports whom, what is packaged, what an import costs."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from xiaozhi_persona.providers.host.doors import DOORS, Door

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "xiaozhi_persona"
GROUND = ROOT / "src" / PACKAGE
FOLDERS = {name: ROOT / name for name in ("memory", "roles", "providers", "bridge")}
HOSTKIT = ROOT / "tests" / "hostkit" / "tree"
"""Our stand-in of the host's modules, which some of the doors import."""
MAX_LINES = 400

# What each part may import beside itself.
MAY_IMPORT = {
    "ground": set(),
    "memory": {"ground"},
    "roles": {"ground"},
    "providers": {"ground", "roles", "memory"},
    "host": {"ground", "memory", "roles", "providers"},
    "bridge": {"ground", "memory", "roles", "providers"},
    "installer": {"ground", "memory", "roles", "providers", "host"},
    "commands": {"ground", "memory", "roles", "providers", "host", "bridge", "installer"},
}

HEAVY = {
    "torch",
    "funasr",
    "funasr_onnx",
    "onnxruntime",
    "librosa",
    "sklearn",
    "webrtcvad",
    "espeakng_loader",
    "mcp",
}
TRAINING = ("providers.asr.tiny.train", "providers.asr.tiny.speech")
"""Scripts that make the embedded recognizer; nothing else imports them."""


def part_of(module: str) -> str:
    """Return the part that a module of ours belongs to."""
    first, _, rest = module.removeprefix(PACKAGE).lstrip(".").partition(".")
    if first in ("cli", "commands", "__main__"):
        return "commands"
    if first == "installer":
        return first
    if first == "providers" and rest.split(".")[0] == "host":
        return "host"
    return first if first in FOLDERS else "ground"


def our_files() -> Iterator[tuple[str, Path]]:
    """Yield every module of ours by its import name, with its file."""
    for name, folder in {"": GROUND, **FOLDERS}.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [PACKAGE, name, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(part for part in parts if part and part != "__init__"), path


MODULES = dict(our_files())


def imported_by(path: Path) -> Iterator[str]:
    """Yield what a file imports, anywhere in it; names imported from a package count as modules where they are."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level or HOSTKIT in path.parents, f"{path}: a relative import"
            if node.level:  # as the host's own files import each other
                continue
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def of_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(PACKAGE + ".")


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def run_python(code: str) -> str:
    # Compiled modules are kept, as pip keeps those it installs: else every run would compile from the source.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:  # the host's logger makes a file where it is imported
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=kept)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_part_of_the_tree_is_seen() -> None:
    assert {part_of(module) for module in MODULES} >= set(MAY_IMPORT) - {"host"}
    assert part_of("xiaozhi_persona.providers.host.memory") == "host"
    assert part_of("xiaozhi_persona.providers.tts") == "providers"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_follow_the_table(part: str) -> None:
    allowed = MAY_IMPORT[part] | {part}
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        if part_of(module) == part
        for imported in imported_by(path)
        if of_ours(imported) and part_of(imported) not in allowed
    ]
    assert not wrong


def test_the_types_of_the_doors_stand_in_their_table_only() -> None:
    table = ("providers.host.doors", "providers.host.tool_names")  # the tools are called after the memory
    types = {door.type for door in DOORS}
    wrong = [
        f"{module}:{node.lineno} names {node.value}"
        for module, path in MODULES.items()
        if not module.endswith(table)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in types
    ]
    assert not wrong


def test_only_the_entry_point_and_the_commands_import_the_command_line() -> None:
    importers = {
        module
        for module, path in MODULES.items()
        for imported in imported_by(path)
        if of_ours(imported) and part_of(imported) == "commands"
    }
    assert {part_of(module) for module in importers} == {"commands"}
    of_cli = {name for name in imported_by(MODULES["xiaozhi_persona.cli"]) if part_of(name) == "commands"}
    assert of_cli == {
        "xiaozhi_persona.commands.lazy_group"
    }  # which finds the commands by name, when asked for


def test_folders_are_never_imported_by_their_bare_names() -> None:
    files = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in files
        for imported in imported_by(path)
        if imported.split(".")[0] in {*FOLDERS, "src"}
    ]
    assert not wrong


def test_every_package_of_the_tree_is_listed_and_nothing_else() -> None:
    listed = setup_cfg()["options"]["packages"].split()
    of_tree = {
        module if path.name == "__init__.py" else module.rpartition(".")[0]
        for module, path in MODULES.items()
    }
    assert sorted(listed) == sorted(of_tree)
    without_init = [path.parent for path in MODULES.values() if not (path.parent / "__init__.py").is_file()]
    assert not without_init


def test_each_folder_is_mapped_to_its_import_package() -> None:
    lines = setup_cfg()["options"]["package_dir"].split("\n")
    mapping = dict(re.split(r"\s*=\s*", line) for line in lines if line)
    assert mapping == {PACKAGE: f"src/{PACKAGE}", **{f"{PACKAGE}.{name}": name for name in FOLDERS}}


def test_pyproject_holds_the_build_system_only() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"^\s*\[+(.+?)\]+\s*$", text, re.MULTILINE) == ["build-system"]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES.values()
    }
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}


@pytest.mark.parametrize("module", ["", ".errors", ".tasks", ".cli", ".text.reply", ".providers", ".bridge"])
def test_light_modules_load_without_the_heavy_packages(module: str) -> None:
    code = f"import {PACKAGE}{module}, sys, json; print(json.dumps([*sys.modules]))"
    loaded = {name.split(".")[0] for name in json.loads(run_python(code))}
    assert not loaded & {*HEAVY, "numpy", "pydantic", "aiohttp", "websockets", "httpx"}


def test_the_package_and_the_command_line_load_quickly() -> None:
    code = (
        f"import time; began = time.process_time(); import {PACKAGE}.cli; print(time.process_time() - began)"
    )
    assert min(float(run_python(code)) for _ in range(3)) < 0.15


def test_talking_loads_nothing_of_the_server_and_no_driver() -> None:
    """On a Raspberry Pi only `[pi]` is installed, and every module takes ten times as long to load."""
    code = f"import {PACKAGE}.commands.talk.converse, sys, json; print(json.dumps([*sys.modules]))"
    loaded = json.loads(run_python(code))
    packages = {name.split(".")[0] for name in loaded}
    assert not packages & {*HEAVY, "aiohttp", "httpx", "soundfile", "pulsectl", "gpiozero"}
    parts = {name.split(".")[1] for name in loaded if name.startswith(f"{PACKAGE}.")}
    assert not parts & {"memory", "roles", "providers", "installer"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.type)
def test_a_door_loads_quickly(door: Door) -> None:
    """In the host its own packages are loaded by then."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(HOSTKIT)!r})\n"
        "import anyio, httpx, numpy, pydantic, websockets, yaml, config.logger\n"
        "class Model(pydantic.BaseModel): x: int\n"
        "import core.providers.asr.base, core.providers.memory.base, core.providers.tts.base\n"
        f"began = time.process_time(); import {door.implementation.rpartition('.')[0]}\n"
        "print(time.process_time() - began)"
    )
    assert min(float(run_python(code)) for _ in range(3)) < 0.15


def test_models_and_their_runtimes_load_only_when_used() -> None:
    modules = [m for m in MODULES if not m.endswith(TRAINING) and not m.endswith("__main__")]
    code = (
        "import importlib, json, sys\n"
        f"sys.path.insert(0, {str(HOSTKIT)!r})\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        "print(json.dumps([*sys.modules]))"
    )
    loaded = {name.split(".")[0] for name in json.loads(run_python(code))}
    assert not loaded & HEAVY


def test_nothing_but_training_imports_the_training_scripts() -> None:
    importers = {
        module
        for module, path in MODULES.items()
        for imported in imported_by(path)
        if of_ours(imported) and imported.endswith(TRAINING)
    }
    assert all(module.endswith(TRAINING) for module in importers)
