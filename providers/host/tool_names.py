"""The names of the memory tools, as the host's settings and its chat model know them."""

from __future__ import annotations

from collections.abc import Mapping

TOOL_PREFIX = "persona_memory"
"""All of them begin with it."""

TOOL_NAMES: Mapping[str, str] = {
    tool: f"{TOOL_PREFIX}_{tool}" for tool in ("recall", "note", "correct", "forget", "off_record")
}
"""By what they do."""

TOOL_FILE = f"{TOOL_PREFIX}_tools"
"""Name of the file that enters them, without .py. Newer hosts take it in their settings for all that it holds."""
