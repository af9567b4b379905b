"""From the feeling of a sentence to the clip that carries it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.spine import Clip, Reference
from xiaozhi_persona.text.emotions import Emotion, built_in_names

NEAREST: Mapping[str, tuple[str, ...]] = {
    "高兴": ("兴奋", "舒适", "骄傲", "爱慕"),
    "悲伤": ("委屈", "恐惧"),
    "愤怒": ("厌恶", "委屈"),
    "惊讶": ("兴奋", "困惑", "恐惧"),
    "恐惧": ("紧张", "惊讶", "悲伤"),
    "厌恶": ("愤怒", "委屈"),
    "中性": (),
    "害羞": ("爱慕", "紧张", "委屈"),
    "兴奋": ("高兴", "惊讶", "骄傲"),
    "舒适": ("中性", "高兴", "爱慕"),
    "紧张": ("恐惧", "害羞"),
    "爱慕": ("害羞", "高兴", "舒适"),
    "委屈": ("悲伤", "害羞"),
    "骄傲": ("高兴", "兴奋"),
    "困惑": ("惊讶", "紧张"),
}
"""For each of the 15 labels those that sound most like it, the nearest first."""

_NEUTRAL = Emotion("中性", "neutral")


@dataclass(frozen=True)
class ClipChooser:
    """Chooses the clips of one reply: the same one for the same feeling; the next reply takes another."""

    role: Role
    reply: int = field(default_factory=lambda: random.randrange(1 << 30))
    """Number of the reply. Consecutive numbers take the clips of an emotion in turn."""
    fixed: frozenset[str] = frozenset()
    """Sentences beside the role's openings whose sound may be kept on disk."""

    def clip(self, emotion: Emotion | None, text: str = "") -> Clip:
        """Return how `text` is to sound; without an emotion, in the role's default one."""
        emotion = emotion or self.role.default_emotion
        references = references_for(self.role, emotion)
        return Clip(
            emotion=emotion.label if emotion else "",
            face=emotion.face if emotion else "neutral",
            reference=references[self.reply % len(references)] if references else None,
            voice=self.role.voice_for(emotion),
            speed=self.role.speed(emotion),
            fixed=text in self.role.fixed_sentences or text in self.fixed,
        )


def references_for(role: Role, emotion: Emotion | None) -> tuple[Reference, ...]:
    """Return the references for a feeling: its own, those of its label, of the nearest label, the neutral, the default.

    A role that has none of these speaks with those of another feeling; empty only when it has no clip at all.
    """
    wanted = emotion or role.default_emotion or _NEUTRAL
    if wanted in role.references:
        return role.references[wanted]
    for label in (*_labels(role, wanted), "中性"):
        if found := _of_label(role, label):
            return found
    return role.references.get(None) or next(iter(role.references.values()), ())


def _labels(role: Role, emotion: Emotion) -> Iterator[str]:
    """Yield the label, the one it is said to be like, and those that are near."""
    yield emotion.label
    own = role.sheet.emotions.get(emotion.label)
    like = built_in_names().get(own.like) if own and own.like else None
    label = like.label if like else emotion.label
    yield label
    yield from NEAREST.get(label, ())


def _of_label(role: Role, label: str) -> tuple[Reference, ...]:
    """Return the references of a label: those with the label's own face first, else those of its shades."""
    plain = built_in_names().get(label)
    if plain in role.references and plain is not None:
        return role.references[plain]
    return next((found for key, found in role.references.items() if key and key.label == label), ())
