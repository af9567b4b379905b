"""Who speaks on which device: the role that the settings name, or the one that it was switched to by voice."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Mapping

from xiaozhi_persona.device_ids import ROLE_MARK
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.choices import DeviceChoices
from xiaozhi_persona.roles.lore import LoreBook, LoreEntry, load_lore
from xiaozhi_persona.roles.names import RoleNames
from xiaozhi_persona.roles.role import Role, role_of_settings
from xiaozhi_persona.settings import Settings

log = logging.getLogger(__name__)

MIN_PACE, MAX_PACE, PACE_STEP = 0.6, 1.6, 0.15
"""How slow and how fast a user may have it speak, 1 being the role's own pace, and by how much it changes at a time."""

_PACE = "pace"
_INSTEAD_OF = "instead of "
"""A switch counts for as long as the settings name the same role: who changes them there wants that one."""


class Casting:
    """Gives each device its role, lore book and pace. May be used from any thread."""

    def __init__(self, settings: Settings, *, takes_pace: bool = True) -> None:
        """Load the roles that the settings name, and those that devices were switched to.

        `takes_pace`: whether the voice can be made faster and slower. Raises SettingsError for a role of the settings
        that is not there or has mistakes.
        """
        self.takes_pace = takes_pace
        self._settings = settings
        self._choices = DeviceChoices(settings.data_dir)
        self._names = RoleNames(settings.data_dir)
        self._lock = threading.Lock()
        self._cast: dict[str, tuple[Role, LoreBook]] = {}  # by id
        self._gone: set[str] = set()  # what devices were switched to and cannot be used
        names = {settings.role, *settings.role_of_device.values()}
        for name in names:
            self._load(name)
        for name in self._choices.values({_INSTEAD_OF + name for name in names}):
            self._kept(name)

    def names(self) -> list[str]:
        """Return words that a recognizer is to expect: what all roles are called, and what those here call the user."""
        roles = [self.configured(), *map(self.configured, self._settings.role_of_device)]
        here = [name for role in roles for name in (role.name, role.sheet.user) if name]
        return list(dict.fromkeys([*here, *self.role_names()]))

    def roles(self) -> Mapping[str, str]:
        """Return what all roles are called, by their ids."""
        return self._names.names()

    def role_names(self) -> list[str]:
        """Return what the roles are called that a device can be switched to."""
        return list(dict.fromkeys(self._names.names().values()))

    def spoken_names(self) -> Mapping[str, str]:
        """Return the ids of all roles by what may be said for them; what several are called stands for itself."""
        return self._names.spoken()

    def configured(self, device_id: str = "") -> Role:
        """Return the role that the settings give to a device."""
        return self._cast[self._settings.role_of_device.get(device_id, self._settings.role)][0]

    def role(self, device_id: str = "") -> Role:
        """Return the role of a device at this moment."""
        return self._of(device_id)[0]

    def lore(self, device_id: str = "") -> LoreBook:
        """Return the lore book of a device's role."""
        return self._of(device_id)[1]

    def named(self, name: str) -> Role:
        """Return a role by its name or id. Blocks while it is read. Raises PersonaError for one that is not there."""
        role_id = self._names.find(name)
        try:
            return self._load(role_id)[0]
        except (PersonaError, OSError) as exc:
            log.error("%s", exc)
            raise PersonaError(tr("角色{name}现在用不了，原因见日志。", name=name)) from exc

    def seat(self, role: Role) -> str:
        """Return an id that is no device's and stands for this role wherever a device's id does."""
        return ROLE_MARK + role.id

    def switch(self, device_id: str, name: str | None) -> Role:
        """Have a device play another role from now on, by its name or id; None for the one that the settings name.

        It is kept across restarts. Blocks while the role is read. Raises PersonaError for one that is not there.
        """
        if not device_id:
            raise PersonaError(tr("设备没有报上编号，不能换角色。"))
        configured = self.configured(device_id)
        role = configured if name is None else self.named(name)
        if role is not self.role(device_id):
            kept = "" if role.id == configured.id else role.id
            self._choices.put(device_id, _INSTEAD_OF + configured.id, kept)
        return role

    def pace(self, device_id: str = "") -> float:
        """Return how fast a device's user wants it to speak, as a factor on the role's own speed."""
        with contextlib.suppress(ValueError):
            return self.bounded_pace(float(self._choices.get(device_id, _PACE) or 1.0))
        return 1.0

    def bounded_pace(self, factor: float) -> float:
        """Return the pace nearest to `factor` that the voice can have. Raises ValueError for what is no number."""
        return _bounded(factor) if self.takes_pace else 1.0

    def set_pace(self, device_id: str, factor: float) -> float:
        """Have a device speak at a pace from MIN_PACE to MAX_PACE; return the one that holds. It is kept.

        Raises PersonaError where the voice takes none.
        """
        if not self.takes_pace:
            raise PersonaError(tr("现在的声音不能调快慢。"))
        if not device_id:
            raise PersonaError(tr("设备没有报上编号，不能调快慢。"))
        pace = _bounded(factor)
        if pace != self.pace(device_id):
            self._choices.put(device_id, _PACE, "" if pace == 1.0 else f"{pace:g}")
        return pace

    def _of(self, device_id: str) -> tuple[Role, LoreBook]:
        if device_id.startswith(ROLE_MARK):
            return self._kept(device_id[len(ROLE_MARK) :]) or self._cast[self._settings.role]
        configured = self._settings.role_of_device.get(device_id, self._settings.role)
        kept = self._choices.get(device_id, _INSTEAD_OF + configured)
        return (kept and self._kept(kept)) or self._cast[configured]

    def _kept(self, role_id: str) -> tuple[Role, LoreBook] | None:
        """Return a role that a device was switched to, None for one that is gone, which is told once."""
        if role_id in self._gone:
            return None
        try:
            return self._load(role_id)
        except (PersonaError, OSError) as exc:
            self._gone.add(role_id)
            log.error("换过去的角色 %s 用不了，改用设置里的：%s", role_id, exc)
            return None

    def _load(self, role_id: str) -> tuple[Role, LoreBook]:
        with self._lock:
            if role_id not in self._cast:
                role = role_of_settings(self._settings, role_id)
                self._cast[role_id] = role, _lore_book(role)
                self._gone.discard(role_id)
            return self._cast[role_id]


def _bounded(factor: float) -> float:
    """Return a pace that is allowed. Raises ValueError for what is no number."""
    if math.isnan(factor):
        raise ValueError(factor)
    return round(min(max(factor, MIN_PACE), MAX_PACE), 2)


def _lore_book(role: Role) -> LoreBook:
    entries = load_lore(role.folder / "lore").entries
    filled = [LoreEntry(entry.keys, role.fill(entry.text)) for entry in entries]
    return LoreBook(filled, role.sheet.lore.max_entries)
