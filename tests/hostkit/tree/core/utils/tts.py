"""Finds the file of a TTS type, and takes Markdown out of what is spoken."""

import re

from core.utils.factory import make
from core.utils.textUtils import check_emoji


def create_instance(class_name, *args, **kwargs):
    return make(f"core/providers/tts/{class_name}.py", "TTSProvider", *args, **kwargs)


def convert_percentage_to_range(percentage, min_val, max_val, base_val=None):
    middle = (min_val + max_val) / 2 if base_val is None else base_val
    reach = (middle - min_val) if percentage < 0 else (max_val - middle)
    return max(min_val, min(max_val, middle + reach * float(percentage) / 100))


class MarkdownCleaner:
    _RULES = (
        (r"(?s)```.*?```", ""),
        (r"(?m)^#+\s*", ""),
        (r"(\*\*|__)(.*?)\1", r"\2"),
        (r"(\*|_)(?=\S)(.*?)(?<=\S)\1", r"\2"),
        (r"!\[.*?\]\(.*?\)", ""),
        (r"\[(.*?)\]\(.*?\)", r"\1"),
        (r"(?m)^\s*>+\s*", ""),
        (r"(?m)^\s*[*+-]\s*", "- "),
        (r"(?s)\$\$.*?\$\$", ""),
        (r"\n{2,}", "\n"),
    )

    @staticmethod
    def clean_markdown(text):
        for pattern, put in MarkdownCleaner._RULES:
            text = re.sub(pattern, put, text)
        text = check_emoji(text)
        return text if text.isascii() else text.strip()
