"""Memories of other programs: the host's .memory.yaml, MoeChat's diary and core memory."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts import writing
from xiaozhi_persona.memory.facts.kinds import NAME, NOTE, PROFILE, SELF, Finding
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.spine import Turn
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import load_yaml, not_yaml

_CONFIDENCE = 0.7
"""Of what another program's chat model wrote down."""
_SENTENCE_ENDS = re.compile(r"(?<=[。！？!?])|\n+")
_DIALOGUE = re.compile(
    r"(?:时间[：:][^\n]*\n)?(?P<user>[^\n：:]{1,40})[：:](?P<said>.*?)\n(?P<char>[^\n：:]{1,40})[：:](?P<answer>.*)",
    re.DOTALL,
)
_MAX_SENTENCES = 200


def import_yaml(store: OwnerStore, file: Path, devices: Collection[str]) -> int:
    """Read a YAML file of another program, whichever it is. Returns how many turns or facts were new.

    `devices` are the ids, in their one form, under which the owner may stand in the host's file. Raises PersonaError for anything
    that is none of the three forms.
    """
    try:
        data = load_yaml(read_text(file))
    except yaml.YAMLError as exc:
        raise not_yaml(exc, file) from exc
    if data is None:
        return 0
    if isinstance(data, dict):
        values = list(data.values())
        if all(isinstance(value, dict) and "msg" in value for value in values):
            return store.append(
                turn for key, value in data.items() for turn in _moechat_turns(key, value, file)
            )
        if all(isinstance(value, dict) and "text" in value for value in values):
            return _keep(store, list(_core_memory(data, file)))
        if all(isinstance(value, str) or value is None for value in values):
            return _keep(store, list(_host_memory(data, file, devices)))
    raise PersonaError(
        tr(
            "{file} 不是认识的形式。"
            "能导入的有：本程序导出的 JSONL、小智服务器的 .memory.yaml、MoeChat 的日记和核心记忆。",
            file=file,
        )
    )


def _moechat_turns(key: Any, value: dict[str, Any], file: Path) -> Iterator[Entry]:
    """Yield what was said and what was answered at a Unix second. `text_tag` is derived, and left out."""
    try:
        at = datetime.fromtimestamp(int(key)).astimezone()
    except (ValueError, TypeError, OverflowError, OSError) as exc:
        raise PersonaError(
            tr(
                "{file} 里的 {key!r} 不是 Unix 时间（秒）。请检查是不是 MoeChat 的日记文件。",
                file=file,
                key=key,
            )
        ) from exc
    text = str(value["msg"] or "")
    match = _DIALOGUE.fullmatch(text.strip())
    if match is None:
        if text.strip():
            yield diary.entry(Turn("user", text.strip(), at), id=f"moechat-{key}")
        return
    said, answer = match["said"].strip(), match["answer"].strip()
    if said:
        yield diary.entry(Turn("user", said, at), id=f"moechat-{key}-user")
    if answer:
        yield diary.entry(Turn("assistant", answer, at), id=f"moechat-{key}-assistant")


def _core_memory(data: dict[Any, Any], file: Path) -> Iterator[tuple[Finding, int, str]]:
    for key, value in data.items():
        try:
            at = datetime.fromisoformat(str(value.get("time"))).astimezone()
        except ValueError:
            at = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
        yield Finding(SELF, NOTE, str(value["text"]).strip()), diary.to_ms(at), f"moechat-core-{key}"


def _host_memory(
    data: dict[Any, Any], file: Path, devices: Collection[str]
) -> Iterator[tuple[Finding, int, str]]:
    """Yield what the host's chat model had written about an owner: its JSON, or any other text by sentences."""
    keys = [key for key in data if normal_id(str(key)) in devices] or (list(data) if len(data) == 1 else [])
    if not keys:
        raise PersonaError(
            tr(
                "{file} 里没有 {wanted}，有的是：{present}。用 --owner 指明其中一个。",
                file=file,
                wanted=tr("、").join(sorted(devices)),
                present=tr("、").join(map(str, data)),
            )
        )
    at_ms = diary.to_ms(datetime.fromtimestamp(file.stat().st_mtime).astimezone())
    for key in keys:
        text = str(data[key] or "")
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        found = _profile(content) if isinstance(content, dict) else _sentences(text)
        for number, finding in enumerate(found):
            yield finding, at_ms, f"host-{key}-{number}"


def _profile(content: dict[str, Any]) -> Iterator[Finding]:
    """Yield the facts of the JSON that the host asks its chat model for."""
    archive = content.get("时空档案")
    archive = archive if isinstance(archive, dict) else {}
    identity = archive.get("身份图谱")
    identity = identity if isinstance(identity, dict) else {}
    if identity.get("现用名"):
        yield Finding(SELF, NAME, str(identity["现用名"]))
    for mark in _list(identity.get("特征标记")):
        yield Finding(SELF, PROFILE, _text(mark))
    cube = archive.get("记忆立方", content.get("记忆立方"))
    for event in _list(cube):
        if isinstance(event, dict) and event.get("事件"):
            when = f"（{event['时间戳']}）" if event.get("时间戳") else ""
            yield Finding(SELF, PROFILE, f"{event['事件']}{when}")
        elif event:
            yield Finding(SELF, PROFILE, _text(event))
    waiting = content.get("待响应")
    for kind in _list(list(waiting.values()) if isinstance(waiting, dict) else waiting):
        for item in _list(kind):
            yield Finding(SELF, PROFILE, _text(item))
    for saying in _list(content.get("高光语录")):
        yield Finding(SELF, PROFILE, f"说过“{_text(saying)}”")


def _sentences(text: str) -> Iterator[Finding]:
    for sentence in _SENTENCE_ENDS.split(text)[:_MAX_SENTENCES]:
        if sentence.strip(" -*#\t"):
            yield Finding(SELF, PROFILE, sentence.strip(" -*#\t"))


def _keep(store: OwnerStore, found: list[tuple[Finding, int, str]]) -> int:
    new = 0
    with store.transaction() as db:
        for finding, at_ms, source in found:
            value = diary.storable(finding.value)
            if value and not _known(db, source):
                kept = Finding(finding.subject, finding.attribute, value)
                new += writing.keep(db, kept, at_ms, source, confidence=_CONFIDENCE)
    return new


def _known(db: Any, source: str) -> bool:
    return db.execute("select 1 from fact where source = ?", (source,)).fetchone() is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
