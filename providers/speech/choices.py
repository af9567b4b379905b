"""The choice of emotions for each reply, by the role of the device that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from xiaozhi_persona.providers.speech.classifier import TextClassifier
from xiaozhi_persona.providers.speech.emotion_choice import EmotionChoice
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip
from xiaozhi_persona.text.emotions import EmotionNames
from xiaozhi_persona.text.reply import pieces_of
from xiaozhi_persona.text.sentences import Segment


class EmotionChoices:
    """Makes the choices; the text classifier of a role is shared by all its replies."""

    def __init__(self, casting: Casting, settings: Settings) -> None:
        self._casting = casting
        self._phrases = settings.phrases.model_dump().values()
        self._means: dict[str, _Means] = {}  # by role

    def of(self, device_id: str = "", pace: float | None = None) -> ReplyChoice:
        """Return the choice of emotions for one reply of a device; `pace` counts instead of the device's own."""
        casting = self._casting

        def pace_now() -> float:
            return casting.pace(device_id) if pace is None else casting.bounded_pace(pace)

        return ReplyChoice(lambda: casting.role(device_id), self._of_role, pace_now)

    def _of_role(self, role: Role) -> EmotionChoice:
        means = self._means.get(role.id) or self._means.setdefault(role.id, self._means_of(role))
        return EmotionChoice(role, means.classifier, means.fixed)

    def _means_of(self, role: Role) -> _Means:
        names, folder = role.emotion_names, role.classifier_dir
        fixed = frozenset(text for phrase in self._phrases for text in pieces_of(phrase, names))
        return _Means(TextClassifier(folder, names) if folder else None, fixed)


class ReplyChoice:
    """Decides for one reply of a device. What is begun is spoken by the role that the device had at `follow`.

    aclose() ends what classifiers still do.
    """

    def __init__(
        self,
        role: Callable[[], Role],
        choice_of: Callable[[Role], EmotionChoice],
        pace: Callable[[], float],
    ) -> None:
        """`role` and `pace` are those of the moment; `choice_of` begins a role's part of the reply."""
        self._role = role
        self._choice_of = choice_of
        self._pace = pace
        self._choices: dict[str, EmotionChoice] = {}  # by role
        self._of_segment: dict[int, EmotionChoice] = {}
        self.follow()

    @property
    def names(self) -> EmotionNames:
        """The words that the role takes as emotion tags."""
        return self._now.names

    @property
    def is_outdated(self) -> bool:
        """Whether the device plays another role by now."""
        return self._choices.get(self._role().id) is not self._now

    def follow(self) -> None:
        """What is begun from here on is for the role that the device plays now."""
        role = self._role()
        self._now = self._choices.get(role.id) or self._choices.setdefault(role.id, self._choice_of(role))

    def begin(self, segment: Segment) -> None:
        """Start to judge a sentence as soon as it is cut."""
        self._of_segment[id(segment)] = self._now
        self._now.begin(segment)

    def joined(self, segment: Segment, following: Segment) -> Segment | None:
        """Return the two as one sentence, None where they do not belong together or are not the same role's."""
        choice = self._choice(segment)
        both = segment.joined(following) if choice is self._choice(following) else None
        if both is not None:
            for part in (segment, following):
                self._of_segment.pop(id(part), None)
            self._of_segment[id(both)] = choice
            choice.begin(both)
        return both

    async def clip(self, segment: Segment, wait_s: float) -> Clip:
        """Return how the sentence is to sound; a classifier has `wait_s` left for its opinion."""
        clip = await self._choice(segment).clip(segment, wait_s)
        self._of_segment.pop(id(segment), None)
        return replace(clip, speed=clip.speed * self._pace())

    async def aclose(self) -> None:
        """End what is still being judged."""
        for choice in self._choices.values():
            await choice.aclose()

    def _choice(self, segment: Segment) -> EmotionChoice:
        return self._of_segment.get(id(segment), self._now)


@dataclass(frozen=True)
class _Means:
    """What the replies of a role share."""

    classifier: TextClassifier | None
    fixed: frozenset[str]
    """The phrases of the settings, as they are cut."""
