"""The names of the memory tools, as the host's settings and its chat model know them."""

from __future__ import annotations

from xiaozhi_persona.memory.tools import TOOL_NAMES, TOOL_PREFIX

__all__ = ["TOOL_FILE", "TOOL_NAMES", "TOOL_PREFIX"]

TOOL_FILE = f"{TOOL_PREFIX}_tools"
"""Name of the file that enters them, without .py. Newer hosts take it in their settings for all that it holds."""
