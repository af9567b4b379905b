"""The time words of a question: 昨天, 上周三, 去年国庆, last Tuesday, 先週の水曜日 as ranges of local time.

The policy is that of a diary, which looks back; resolve.py and windows.py hold it.
"""

from __future__ import annotations

from xiaozhi_persona.memory.time_words.finder import TimeRange, find_ranges

__all__ = ["TimeRange", "find_ranges"]
