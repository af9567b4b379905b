"""How long a text should take to say, and whether a sound is far from that.

GPT-SoVITS's autoregressive model now and then swallows words or does not find the end.
"""

from __future__ import annotations

import math
import unicodedata

_TOO_SHORT = 0.3
_TOO_LONG = 3.0
_LONGEST_SHORT_SOUND_S = 2.0  # three times the prediction for one word is less than a drawn-out word takes

# Seconds a character at a usual pace: 4 to 5 syllables of Chinese a second, 14 letters of English.
_IDEOGRAPH_S = 0.22
_KANA_S = 0.15
_DIGIT_S = 0.25
_LETTER_S = 0.07
_CAPITAL_S = 0.15  # it may be spelt out
_PAUSE_S = 0.25
_PAUSES = frozenset("，。！？、；：…—,.!?;:~～\n")


def predicted_s(text: str, speed: float = 1.0) -> float:
    """Return the seconds that `text` should take at `speed` times the usual pace; never 0."""
    return max(_IDEOGRAPH_S, sum(map(_character_s, text))) / speed


def longest_s(predicted: float) -> float:
    """Return the seconds after which a sound cannot be the text any more."""
    return max(_TOO_LONG * predicted, _LONGEST_SHORT_SOUND_S)


def is_plausible(seconds: float, predicted: float) -> bool:
    """Return whether a sound of this length, without the silence at its end, can be the whole text and no more."""
    return _TOO_SHORT * predicted <= seconds < longest_s(predicted)


def misfit(seconds: float, predicted: float) -> float:
    """Return how far a length is from the prediction: 0 for equal, the same for half and for double."""
    return abs(math.log(max(seconds, 0.01) / predicted))


def _character_s(character: str) -> float:
    if "\u3040" <= character <= "\u30ff":
        return _KANA_S
    if character in _PAUSES:
        return _PAUSE_S
    if character.isdigit():
        return _DIGIT_S
    if not character.isalpha():
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return _IDEOGRAPH_S
    return _CAPITAL_S if character.isupper() else _LETTER_S
