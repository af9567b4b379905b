"""The parameters of a GPT-SoVITS voice, under the names and in the forms in which users have them.

Both APIs' names are read, and those of the host's console; what comes out has api_v2.py's names and real types.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.roles import languages
from xiaozhi_persona.written_paths import path_as_meant

_FAST_MODE = 3


def read_parameters(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the parameters that are set, under one set of names; blank texts and None are not set.

    Names: those of POST /tts, and `cut_punc`. Languages become codes, numbers and booleans written as text are read.
    `where` is for messages. Raises SettingsError for an unknown name and for a value that the servers cannot use.
    """
    unknown = [name for name in given if name not in KNOWN]
    if unknown:
        near = nearest(str(unknown[0]))
        hint = (
            tr("是不是 {value}？", value=near)
            if near
            else tr("可用的有：") + tr("、").join(sorted(KNOWN)) + tr("。").rstrip()
        )
        raise SettingsError(
            tr(
                "{where} 里的 {value} 不是 GPT-SoVITS 的参数，{hint}",
                where=where,
                value=unknown[0],
                hint=hint,
            )
        )
    found: dict[str, Any] = {}
    for name, rule in _RULES.items():
        for spelling in rule.spellings or (name,):
            value = given.get(spelling)
            if value is None or (isinstance(value, str) and not value.strip()) or value == []:
                continue
            read = rule.read(value)
            if read is None:
                raise SettingsError(
                    tr(
                        "{where} 的 {spelling} 不能是 {value!r}，应为{allowed}。",
                        where=where,
                        spelling=spelling,
                        value=value,
                        allowed=tr(rule.allowed),
                    )
                )
            found[name] = read
            break
    return found


def nearest(name: str) -> str:
    """Return the parameter that is spelled most like `name`: top_k for topK and topk; "" for none."""
    plain = name.casefold().replace("-", "").replace("_", "")
    same = [known for known in sorted(KNOWN) if known.replace("_", "") == plain]
    return next(iter(same or difflib.get_close_matches(name, sorted(KNOWN), 1)), "")


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of `below` with those of `above` over them, both as read_parameters() gives them.

    A reference is one thing: another recording never takes over the text, language and companions of the old one.
    """
    kept = dict(below)
    if "ref_audio_path" in above:
        for name in ("ref_audio_path", "prompt_text", "prompt_lang", "aux_ref_audio_paths"):
            kept.pop(name, None)
    return {**kept, **above}


@dataclass(frozen=True)
class _Rule:
    read: Callable[[Any], Any]
    """Returns None for a value that is not allowed."""
    allowed: str
    spellings: tuple[str, ...] = ()
    """The first one that is set wins."""


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) else None


def _path(value: Any) -> str | None:
    try:
        return path_as_meant(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _language(value: Any) -> str | None:
    return languages.language_code(value) if isinstance(value, str) else None


def _paths(value: Any) -> list[str] | None:
    parts = value.replace("\n", ";").split(";") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return None
    found = [_path(part) for part in parts if part.strip()]
    return None if None in found else [part for part in found if part]


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            value.strip().lower()
        )
    return value if isinstance(value, bool) else {0: False, 1: True}.get(value)


def _decimal(low: float, high: float, may_be_low: bool = True) -> Callable[[Any], float | None]:
    def read(value: Any) -> float | None:
        if isinstance(value, bool):
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        fits = (low <= number if may_be_low else low < number) and number <= high
        return number if fits else None

    return read


def _integer(low: int, high: int) -> Callable[[Any], int | None]:
    decimal = _decimal(low, high)

    def read(value: Any) -> int | None:
        number = decimal(value)
        return int(number) if number is not None and number == math.floor(number) else None

    return read


def _batch_size(value: Any) -> int | None:
    size = _integer(0, 200)(value)
    return None if size is None else max(1, size)  # 0 hangs api_v2.py until it is killed


def _streaming_mode(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().lower() == "fast":
        return _FAST_MODE
    mode = _integer(0, 3)(value)
    if mode is not None:
        return mode
    switch = _boolean(value)
    return None if switch is None else int(switch)


_UNITS = ("x", "×", "倍", "times")


def _factor(value: Any) -> float | None:
    """Read a speed, also as `1.2x`, `1.2倍` and `120%`."""
    read = _decimal(0, 5, may_be_low=False)
    if not isinstance(value, str):
        return read(value)
    bare = unicodedata.normalize("NFKC", value).strip().casefold()
    bare = next((bare.removesuffix(unit) for unit in _UNITS if bare.endswith(unit)), bare)
    if bare.strip().endswith("%"):
        percent = _decimal(0, 500, may_be_low=False)(bare.strip()[:-1])
        return None if percent is None else percent / 100
    return read(bare.strip().lstrip("x×"))


_SPLITS = {
    "cut0": "不切 不切分 不切割 noslice",
    "cut1": "凑四句一切 湊四句一切 4句一切 sliceonceevery4sentences",
    "cut2": "凑50字一切 湊50字一切 sliceper50characters",
    "cut3": "按中文句号切 按中文句號切 slicebychinesepunct",
    "cut4": "按英文句号切 按英文句號切 slicebyenglishpunct",
    "cut5": "按标点符号切 按標點符號切 按标点切 slicebyeverypunct",
}
"""What the web page of GPT-SoVITS calls the ways to cut a text (inference_webui.py, `how_to_cut`)."""
_SPLIT_OF = {name: code for code, names in _SPLITS.items() for name in (code, *names.split())}


def _split_method(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    plain = unicodedata.normalize("NFKC", value).casefold()
    return _SPLIT_OF.get("".join(character for character in plain if character.isalnum()))


def _one_of(*allowed: str) -> Callable[[Any], str | None]:
    def read(value: Any) -> str | None:
        found = value.strip().lower() if isinstance(value, str) else None
        return found if found in allowed else None

    return read


_BOOLEAN = _Rule(_boolean, later(" true 或 false"))

_RULES = {
    "ref_audio_path": _Rule(
        _path, later("路径，里面没有看不见的字符"), ("ref_audio", "ref_audio_path", "refer_wav_path")
    ),
    "prompt_text": _Rule(_text, later("文字"), ("ref_text", "prompt_text")),
    "prompt_lang": _Rule(_language, languages.allowed(), ("prompt_lang", "prompt_language", "ref_lang")),
    "text_lang": _Rule(_language, languages.allowed(), ("text_lang", "text_language")),
    "aux_ref_audio_paths": _Rule(_paths, later("路径的列表"), ("aux_ref_audio_paths", "inp_refs")),
    "top_k": _Rule(_integer(1, 1024), later(" 1 到 1024 的整数")),
    "top_p": _Rule(_decimal(0, 1, may_be_low=False), later("大于 0、不大于 1 的数")),
    "temperature": _Rule(_decimal(0, 5, may_be_low=False), later("大于 0、不大于 5 的数")),
    "repetition_penalty": _Rule(_decimal(0, 5, may_be_low=False), later("大于 0、不大于 5 的数")),
    "speed_factor": _Rule(_factor, later("大于 0、不大于 5 的数"), ("speed_factor", "speed")),
    "text_split_method": _Rule(_split_method, later(" cut0 到 cut5，或网页上的名字，如 按标点符号切")),
    "cut_punc": _Rule(_text, later("标点")),
    "batch_size": _Rule(_batch_size, later(" 1 到 200 的整数")),
    "batch_threshold": _Rule(_decimal(0, 1), later(" 0 到 1 的数")),
    "split_bucket": _BOOLEAN,
    "fragment_interval": _Rule(_decimal(0, 5), later(" 0 到 5 的数，单位秒")),
    "seed": _Rule(_integer(-1, 2**32 - 1), later(" -1（随机）或不小于 0 的整数")),
    "media_type": _Rule(_one_of("wav", "raw", "ogg"), later(" wav、raw 或 ogg")),
    "streaming_mode": _Rule(_streaming_mode, later(" 0 到 3、true、false 或 fast（就是 3）")),
    "parallel_infer": _BOOLEAN,
    "sample_steps": _Rule(_integer(1, 128), later(" 1 到 128 的整数")),
    "super_sampling": _Rule(_boolean, later(" true 或 false"), ("super_sampling", "if_sr")),
    "overlap_length": _Rule(_integer(1, 100), later(" 1 到 100 的整数")),
    "min_chunk_length": _Rule(_integer(2, 1000), later(" 2 到 1000 的整数")),
}

# A key of older forks that neither API reads, but that stands in the host's own config.yaml.
_WITHOUT_EFFECT = ("return_fragment",)

KNOWN = frozenset(
    [spelling for name, rule in _RULES.items() for spelling in rule.spellings or (name,)]
) | frozenset(_WITHOUT_EFFECT)
"""Every spelling that is read."""
