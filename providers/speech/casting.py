"""Who speaks on which device: the roles that the settings name, each loaded once."""

from __future__ import annotations

from xiaozhi_persona.memory.lore import LoreBook, LoreEntry, load_lore
from xiaozhi_persona.providers.speech.classifier import EmotionClassifier
from xiaozhi_persona.providers.speech.emotion_choice import EmotionChoice
from xiaozhi_persona.roles.role import Role, role_of_settings, sentences_of
from xiaozhi_persona.settings import Settings


class Casting:
    """Gives each device its role, and each reply its choice of emotions."""

    def __init__(self, settings: Settings) -> None:
        """Load the roles. Raises SettingsError for one that is not there or has mistakes."""
        names = {settings.role, *settings.role_of_device.values()}
        roles = {name: role_of_settings(settings, name) for name in names}
        self._default = roles[settings.role]
        self._of_device = {device: roles[name] for device, name in settings.role_of_device.items()}
        self._classifiers = {
            role.id: EmotionClassifier(role.classifier_dir, role.emotion_names)
            for role in roles.values()
            if role.classifier_dir
        }
        phrases = settings.phrases.model_dump().values()
        self._lore = {
            role.id: LoreBook(
                [
                    LoreEntry(entry.keys, role.fill(entry.text))
                    for entry in load_lore(role.folder / "lore").entries
                ],
                role.sheet.lore.max_entries,
            )
            for role in roles.values()
        }
        self._fixed = {
            role.id: frozenset(
                text for phrase in phrases for text in sentences_of(phrase, role.emotion_names)
            )
            for role in roles.values()
        }

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

    def emotion_choice(self, device_id: str = "") -> EmotionChoice:
        """Return the choice of emotions for one reply of a device."""
        role = self.role(device_id)
        return EmotionChoice(role, self._classifiers.get(role.id), self._fixed[role.id])
