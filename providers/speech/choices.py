"""The choice of emotions for each reply, by the role of the device that it is for."""

from __future__ import annotations

from xiaozhi_persona.providers.speech.classifier import TextClassifier
from xiaozhi_persona.providers.speech.emotion_choice import EmotionChoice
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text.reply import pieces_of


class EmotionChoices:
    """Makes the choices; the text classifier of a role is shared by all its replies."""

    def __init__(self, casting: Casting, settings: Settings) -> None:
        self._casting = casting
        self._classifiers = {
            role.id: TextClassifier(role.classifier_dir, role.emotion_names)
            for role in casting.roles.values()
            if role.classifier_dir
        }
        phrases = settings.phrases.model_dump().values()
        self._fixed = {
            role.id: frozenset(text for phrase in phrases for text in pieces_of(phrase, role.emotion_names))
            for role in casting.roles.values()
        }

    def of(self, device_id: str = "") -> EmotionChoice:
        """Return the choice of emotions for one reply of a device."""
        role = self._casting.role(device_id)
        return EmotionChoice(role, self._classifiers.get(role.id), self._fixed[role.id])
