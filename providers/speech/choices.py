"""The choice of emotions for each reply, by the role of the device that it is for."""

from __future__ import annotations

from dataclasses import dataclass

from xiaozhi_persona.providers.speech.classifier import TextClassifier
from xiaozhi_persona.providers.speech.emotion_choice import EmotionChoice
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text.reply import pieces_of


class EmotionChoices:
    """Makes the choices; the text classifier of a role is shared by all its replies."""

    def __init__(self, casting: Casting, settings: Settings) -> None:
        self._casting = casting
        self._phrases = settings.phrases.model_dump().values()
        self._means: dict[str, _Means] = {}  # by role

    def of(self, device_id: str = "") -> EmotionChoice:
        """Return the choice of emotions for one reply of a device."""
        role = self._casting.role(device_id)
        means = self._means.get(role.id) or self._means.setdefault(role.id, self._means_of(role))
        return EmotionChoice(role, means.classifier, means.fixed)

    def _means_of(self, role: Role) -> _Means:
        names, folder = role.emotion_names, role.classifier_dir
        fixed = frozenset(text for phrase in self._phrases for text in pieces_of(phrase, names))
        return _Means(TextClassifier(folder, names) if folder else None, fixed)


@dataclass(frozen=True)
class _Means:
    """What the replies of a role share."""

    classifier: TextClassifier | None
    fixed: frozenset[str]
    """The phrases of the settings, as they are cut."""
