"""Names of ours in the host's settings: of the tools, as its chat model knows them too, and of the intent door."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.tools import TOOL_BEGINNING, TOOL_NAMES
from xiaozhi_persona.roles.role_tool import ROLE_TOOL

__all__ = ["NO_NAME", "INTENT_MARK", "ROLE_TOOL", "ROLE_TOOL_FILE", "TOOL_FILE", "TOOL_NAMES", "TOOL_PREFIX"]

TOOL_PREFIX = TOOL_BEGINNING.removesuffix("_")
"""All tools of the memory begin with it."""

TOOL_FILE = f"{TOOL_PREFIX}_tools"
"""Name of the file that enters them, without .py. Newer hosts take it in their settings for all that it holds."""

ROLE_TOOL_FILE = f"{ROLE_TOOL}_tool"
"""Name of the file that enters the tool that changes the role. An agent that has it has the local intents, too."""

INTENT_MARK = "persona_intents"
"""Key that the intent door sets in its section, whose type it has changed."""

NO_NAME = re.compile(r"[^a-zA-Z0-9_\-\u4e00-\u9fff]")
"""What the host puts `_` for (sanitize_tool_name in core/utils/util.py)."""
