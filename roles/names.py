"""The role packs that there are, by what they are called: found when they are asked for, broken ones left out."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.pack import read_sheet
from xiaozhi_persona.roles.role import role_folders
from xiaozhi_persona.text.traditional import simplified

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_MOST_NAMED = 12
_IN_BRACKETS = re.compile(r"[(（\[【][^(（\[【)）\]】]*[)）\]】]")


class RoleNames:
    """What the role packs are called. May be asked from any thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._looked_at_s = float("-inf")
        self._names: dict[str, str] = {}  # by id
        self._sheets: dict[
            str, tuple[tuple[int, int, int], str]
        ] = {}  # by id: which file, and the name in it
        self._ids: dict[str, list[str]] = {}  # by what is said
        self._spoken: dict[str, str] = {}

    def names(self) -> dict[str, str]:
        """Return what each role is called, by its id."""
        with self._lock:
            self._look()
            return self._names

    def spoken(self) -> dict[str, str]:
        """Return the ids of the roles by what may be said for them: name, id, and a name without what is in brackets.

        What several roles are called stands for itself: `find` tells who they are.
        """
        with self._lock:
            self._look()
            return self._spoken

    def find(self, said: str) -> str:
        """Return the id of the role of this name or id, however it is written.

        Raises PersonaError that names the roles there are, or those that share the name.
        """
        with self._lock:
            self._look()
            names, ids = self._names, self._ids.get(plain_name(said), [])
        if said in names:
            return said
        if len(ids) == 1:
            return ids[0]
        if ids:
            roles = tr("、").join(ids)
            raise PersonaError(
                tr("叫{said}的角色不止一个：{roles}。说编号来选，或给其中一个改名。", said=said, roles=roles)
            )
        raise PersonaError(
            tr("没有叫{said}的角色，有：{roles}", said=said.strip()[:20], roles=_listed(names.values()))
        )

    def _look(self) -> None:
        """Read the sheets that have changed."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        names = {}
        for role_id, folder in role_folders(self._data_dir).items():
            if name := self._name_of(role_id, folder / "role.yaml"):
                names[role_id] = name
        if names != self._names:
            self._names, self._ids = names, _ids_by_name(names)
            forms = [form for role_id, name in names.items() for form in (role_id, name, _short(name))]
            ids = {form: self._ids[key] for form in forms if (key := plain_name(form))}
            self._spoken = {form: found[0] if len(found) == 1 else form for form, found in ids.items()}

    def _name_of(self, role_id: str, file: Path) -> str:
        """Return what a role is called, "" for one that cannot be read, which is told once."""
        try:
            about = os.stat(file)
        except OSError:
            return ""
        stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
        known = self._sheets.get(role_id)
        if known and known[0] == stamp:
            return known[1]
        try:
            name = read_sheet(file).name.strip()
        except (PersonaError, OSError) as exc:
            log.warning("角色 %s 用不了，不能换成它：%s", role_id, exc)
            name = ""
        self._sheets[role_id] = stamp, name
        return name


def plain_name(text: str) -> str:
    """Return a name as names are compared: case, width, traditional forms, spaces and punctuation do not count."""
    return simplified("".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum()))


def _ids_by_name(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the roles by the plain form of what they are called. A whole name counts before a part of another one."""
    found: dict[str, list[str]] = {}
    for forms in ([(i, i), (i, name)] for i, name in names.items()):
        for role_id, form in forms:
            if (key := plain_name(form)) and role_id not in found.setdefault(key, []):
                found[key].append(role_id)
    short: dict[str, list[str]] = {}
    for role_id, name in names.items():
        if (key := plain_name(_short(name))) and key not in found:
            short.setdefault(key, []).append(role_id)
    return {**found, **short}


def _short(name: str) -> str:
    return _IN_BRACKETS.sub("", name).strip()


def _listed(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    more = tr(" 等 {count} 个", count=len(listed)) if len(listed) > _MOST_NAMED else ""
    return tr("、").join(listed[:_MOST_NAMED]) + more
