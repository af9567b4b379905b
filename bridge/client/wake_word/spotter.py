"""What finds a wake word in sound, and which of the engines does it for which model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from xiaozhi_persona.spine import Samples


class Spotter(Protocol):
    """Finds one wake word in a stream of sound. Used by one thread at a time."""

    word: str
    """As it is told to the server."""

    def feed(self, samples: Samples) -> bool:
        """Take the next 16 kHz mono sound, in pieces of any length; return True when the word has ended in it."""
        ...


def open_spotter(word: str, model: Path | None) -> Spotter:
    """Load what finds `word`; it may take a second.

    Without a model, it is one of the English words of pymicro-wakeword. `model` is the .json file of a microWakeWord
    model, or a folder of sherpa-onnx with a streaming transducer for keywords. Raises PackageMissing, and SettingsError
    for a word that there is no model for and for a model that cannot be read.
    """
    if model is not None and model.suffix != ".json":
        from xiaozhi_persona.bridge.client.wake_word.sherpa import SherpaSpotter

        return SherpaSpotter(word, model)
    from xiaozhi_persona.bridge.client.wake_word.micro import MicroSpotter

    return MicroSpotter(word, model)
