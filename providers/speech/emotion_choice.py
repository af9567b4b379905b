"""How each sentence of a reply is to sound and look: one decision for the voice and the face.

The sources are asked in the role's order: the tag in the text, a leading emoji, the role's text classifier, a small
lexicon, the role's default.
"""

from __future__ import annotations

import asyncio

import anyio

from xiaozhi_persona.providers.speech.lexicon import feeling_of
from xiaozhi_persona.roles.clips import ClipChooser
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.spine import Clip, EmotionClassifier
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.text.emotions import Emotion
from xiaozhi_persona.text.sentences import Segment

FIRST_SENTENCE_WAIT_S = 0.15
"""How long the classifier may delay speech."""


class EmotionChoice:
    """Decides for one reply. aclose() ends what the classifier still does."""

    def __init__(
        self, role: Role, classifier: EmotionClassifier | None = None, fixed: frozenset[str] = frozenset()
    ) -> None:
        """`fixed` are sentences beside the role's own whose sound may be kept on disk."""
        self.names = role.emotion_names
        self._role = role
        self._chooser = ClipChooser(role, fixed=fixed)
        self._classifier = classifier if "classifier" in role.emotion_sources else None
        self._judging: dict[int, asyncio.Task[Emotion | None]] = {}

    def begin(self, segment: Segment) -> None:
        """Start to judge a sentence as soon as it is cut, where its own marks do not settle it."""
        if self._classifier and self._marked(segment, before="classifier") is None:
            task = asyncio.create_task(self._classifier.feeling_of(segment.text), name="emotion")
            self._judging[id(segment)] = task

    async def clip(self, segment: Segment, wait_s: float) -> Clip:
        """Return how the sentence is to sound; the classifier has `wait_s` left for its opinion."""
        emotion: Emotion | None = None
        for source in self._role.emotion_sources:
            if source == "tag" and not segment.from_emoji or source == "emoji" and segment.from_emoji:
                emotion = segment.emotion
            elif source == "classifier":
                emotion = await self._judged(segment, wait_s)
            elif source == "lexicon":
                emotion = feeling_of(segment.text)
            if emotion or source == "default":
                break
        return self._chooser.clip(emotion, segment.text)

    async def aclose(self) -> None:
        """End what is still being judged."""
        for task in self._judging.values():
            await cancel_and_wait(task)

    def _marked(self, segment: Segment, before: str) -> Emotion | None:
        """Return what tag or emoji say, where the role asks them before `before`."""
        sources = self._role.emotion_sources
        asked = sources[: sources.index(before)]
        return segment.emotion if ("emoji" if segment.from_emoji else "tag") in asked else None

    async def _judged(self, segment: Segment, wait_s: float) -> Emotion | None:
        task = self._judging.pop(id(segment), None)
        if task is None:
            return None
        with anyio.move_on_after(wait_s):
            return await asyncio.shield(task)
        await cancel_and_wait(task)
        return None
