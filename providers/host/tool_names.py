"""The names of the memory tools, as the host's settings and its chat model know them."""

from __future__ import annotations

from xiaozhi_persona.memory.tools import TOOL_BEGINNING, TOOL_NAMES

__all__ = ["TOOL_FILE", "TOOL_NAMES", "TOOL_PREFIX"]

TOOL_PREFIX = TOOL_BEGINNING.removesuffix("_")
"""All of them begin with it."""

TOOL_FILE = f"{TOOL_PREFIX}_tools"
"""Name of the file that enters them, without .py. Newer hosts take it in their settings for all that it holds."""
