"""The sentences that are said: a file of answers for each language, one or several ways to say each."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.providers.intent.actions.scene import Done, Scene

ANSWERS = Path(__file__).parent / "answers"
LANGUAGES = ("zh", "en", "ja")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def said(language: str, name: str, /, **values: Any) -> str:
    """Return one of the sentences of a name, with `values` at their places, in a language; Chinese for an unknown one."""
    return random.choice(answers(language)[name]).format(**values)


def undone(scene: Scene, name: str, /, **values: Any) -> Done:
    """Return that it was not done, with one of the sentences of a name."""
    return Done(said(scene.language, name, **values), worked=False)


@functools.cache
def answers(language: str) -> Mapping[str, tuple[str, ...]]:
    """Return all sentences of a language by their names."""
    file = ANSWERS / f"{language if language in LANGUAGES else LANGUAGES[0]}.yaml"
    listed = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    return {name: tuple(ways) if isinstance(ways, list) else (ways,) for name, ways in listed.items()}
