"""Who speaks on which device: the roles that the settings name, each loaded once."""

from __future__ import annotations

from collections.abc import Mapping

from xiaozhi_persona.roles.lore import LoreBook, LoreEntry, load_lore
from xiaozhi_persona.roles.role import Role, role_of_settings
from xiaozhi_persona.settings import Settings


class Casting:
    """Gives each device its role and its lore book."""

    def __init__(self, settings: Settings) -> None:
        """Load the roles. Raises SettingsError for one that is not there or has mistakes."""
        names = {settings.role, *settings.role_of_device.values()}
        self.roles: Mapping[str, Role] = {name: role_of_settings(settings, name) for name in names}
        self._default = self.roles[settings.role]
        self._of_device = {device: self.roles[name] for device, name in settings.role_of_device.items()}
        self._lore = {role.id: _lore_book(role) for role in self.roles.values()}

    def names(self) -> list[str]:
        """Return what the roles are called, and what they call the user: words that a recognizer is to expect."""
        roles = [self._default, *self._of_device.values()]
        return [name for role in roles for name in (role.name, role.sheet.user) if name]

    def role(self, device_id: str = "") -> Role:
        """Return the role of a device."""
        return self._of_device.get(device_id, self._default)

    def lore(self, device_id: str = "") -> LoreBook:
        """Return the lore book of a device's role."""
        return self._lore[self.role(device_id).id]


def _lore_book(role: Role) -> LoreBook:
    entries = load_lore(role.folder / "lore").entries
    filled = [LoreEntry(entry.keys, role.fill(entry.text)) for entry in entries]
    return LoreBook(filled, role.sheet.lore.max_entries)
