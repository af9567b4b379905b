"""One sentence with everything that changes its sound, and the request body for each API."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xiaozhi_persona.errors import ServiceRejected, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.gpt_sovits.reading import readable
from xiaozhi_persona.providers.tts.languages import language_of_sentence
from xiaozhi_persona.providers.tts.length import predicted_s
from xiaozhi_persona.providers.tts.sound_cache import sound_key
from xiaozhi_persona.roles import languages
from xiaozhi_persona.roles.voice_parameters import overlay, read_parameters
from xiaozhi_persona.spine import Clip, Reference
from xiaozhi_persona.text.measures import whole_characters
from xiaozhi_persona.voice_settings import GptSovitsSettings

_CLOSING = "”’」』）)】]》〉\"' "
_ENDINGS = frozenset("。．.！!？?，,、；;：:…—~～")

# Upstream's defaults are sent all the same: they differ from release to release.
_V2_DEFAULTS: Mapping[str, Any] = {
    "top_k": 15,
    "top_p": 1.0,
    "temperature": 1.0,
    "repetition_penalty": 1.35,
    "text_split_method": "cut5",
    "batch_size": 1,
    "batch_threshold": 0.75,
    "split_bucket": True,
    "speed_factor": 1.0,
    "fragment_interval": 0.3,
    "seed": -1,
    "media_type": "wav",
    "parallel_infer": True,
    "sample_steps": 32,
    "super_sampling": False,
    "overlap_length": 2,
    "min_chunk_length": 16,
}

_SPLIT_AS_PUNCTUATION = {
    "cut0": "",
    "cut1": "。！？.!?",
    "cut2": "。！？.!?",
    "cut3": "。",
    "cut4": ".",
    "cut5": ",.;?!、，。？！；：…",
}
_PUNCTUATION_AS_SPLIT = {"。": "cut3", ".": "cut4"}


@dataclass(frozen=True)
class Weights:
    """A voice's two model files, as paths on the server; "" where none is named."""

    gpt: str = ""
    sovits: str = ""


@dataclass(frozen=True)
class Utterance:
    """What is to be spoken, and how."""

    text: str
    """Ended with punctuation, on one line, what the server would read wrong in words."""
    text_lang: str
    """A language code, as in `prompt_lang`."""
    ref_audio_path: str = ""
    """ "" for the server's own default, which only api.py has."""
    prompt_text: str = ""
    prompt_lang: str = languages.AUTO
    aux_ref_audio_paths: tuple[str, ...] = ()
    streaming_mode: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    """The other parameters that are set, under api_v2.py's names, and cut_punc."""
    weights: Weights = Weights()

    @property
    def predicted_s(self) -> float:
        """The seconds that it should take."""
        return predicted_s(self.text, self.options.get("speed_factor", 1.0))

    def with_another_seed(self) -> Utterance:
        """Return the same with another seed; a random one (-1, or none set) is another one by itself."""
        seed = self.options.get("seed", -1)
        if seed < 0:
            return self
        return dataclasses.replace(self, options={**self.options, "seed": (seed + 1) % 2**32})


def utterance_of(
    text: str, clip: Clip, settings: GptSovitsSettings, defaults: Mapping[str, Any]
) -> Utterance:
    """Put together what `clip` asks for and what the settings have; `defaults` are settings.parameters as read.

    Raises SettingsError for parameters of the clip's voice that do not exist, ServiceRejected for a text without words.
    """
    spoken = ended(text)
    if not any(character.isalnum() for character in spoken):
        raise ServiceRejected(tr("这一句没有可以念的字，不用合成。"))
    of_role = read_parameters(clip.voice.parameters, tr("角色的 parameters"))
    options = overlay(defaults, of_role)
    reference = Reference(
        path=options.pop("ref_audio_path", ""),
        text=options.pop("prompt_text", ""),
        language=options.pop("prompt_lang", ""),
        aux_paths=tuple(options.pop("aux_ref_audio_paths", ())),
    )
    prompt_lang = reference.language or defaults.get("prompt_lang", languages.AUTO)
    if clip.reference:
        aux_paths = clip.reference.aux_paths or tuple(of_role.get("aux_ref_audio_paths", ()))
        reference = dataclasses.replace(clip.reference, aux_paths=aux_paths)
        if reference.language:
            prompt_lang = _code(reference.language, tr("参考音频的语言"))
    text_lang = options.pop("text_lang", languages.AUTO)
    if clip.voice.language:
        text_lang = _code(clip.voice.language, tr("角色的语言"))
    text_lang = language_of_sentence(spoken, text_lang)
    speed = options.get("speed_factor", 1.0) * clip.speed
    if speed != 1.0:
        options["speed_factor"] = round(max(speed, 0.01), 4)  # 0 is a failure on every server
    return Utterance(
        text=ended(readable(spoken, text_lang)),
        text_lang=text_lang,
        ref_audio_path=reference.path,
        prompt_text=ended(readable(ended(reference.text), prompt_lang)),
        prompt_lang=prompt_lang,
        aux_ref_audio_paths=reference.aux_paths,
        streaming_mode=options.pop(
            "streaming_mode", 3 if settings.streaming_mode == "fast" else settings.streaming_mode
        ),
        options=options,
        weights=Weights(
            clip.voice.weights.get("gpt") or settings.gpt_weights,
            clip.voice.weights.get("sovits") or settings.sovits_weights,
        ),
    )


def utterance_key(utterance: Utterance, place: Sequence[str]) -> str:
    """Return the cache's name for a sentence; the servers (`place`) stand for the weights that nobody names."""
    references = [utterance.ref_audio_path, *utterance.aux_ref_audio_paths]
    return sound_key([sorted(place), dataclasses.asdict(utterance)], references)


def v2_body(utterance: Utterance, *, knows_chunks: bool = True) -> dict[str, Any]:
    """Return the body of POST /tts. `knows_chunks` is False for releases that take only true and false as mode.

    Raises ServiceRejected without a reference: the API has no default one.
    """
    if not utterance.ref_audio_path:
        raise ServiceRejected(
            tr(
                "没有参考音频，api_v2.py 不能合成。"
                "给角色放上参考音频，或在 gpt_sovits.parameters 里写 ref_audio_path、prompt_text、prompt_lang。"
            )
        )
    options = dict(utterance.options)
    cut_punc = options.pop("cut_punc", None)
    if cut_punc is not None:
        options.setdefault("text_split_method", _PUNCTUATION_AS_SPLIT.get(cut_punc, "cut5"))
    if options.get("media_type") == "raw":
        options["media_type"] = "wav"  # the same samples, and their rate, which differs from model to model
    mode = utterance.streaming_mode if knows_chunks else min(utterance.streaming_mode, 1)
    body = {
        "text": utterance.text,
        "text_lang": utterance.text_lang,
        "ref_audio_path": utterance.ref_audio_path,
        "aux_ref_audio_paths": list(utterance.aux_ref_audio_paths),
        "prompt_text": utterance.prompt_text,
        "prompt_lang": utterance.prompt_lang,
        **_V2_DEFAULTS,
        **options,
        "streaming_mode": bool(mode) if mode < 2 else mode,
    }
    if mode >= 2:
        body["batch_size"] = 1  # of a larger batch only the first sentence is spoken
    return body


def v1_body(utterance: Utterance) -> dict[str, Any]:
    """Return the body of POST / of api.py. Without a reference, the one that the server was started with holds.

    Raises ServiceRejected for a reference without its text, for which the server would silently take its default.
    """
    options = utterance.options
    body: dict[str, Any] = {
        "text": utterance.text,
        "text_language": languages.chinese_name(utterance.text_lang),
        "top_k": options.get("top_k", 15),
        "top_p": options.get("top_p", 1.0),
        "temperature": options.get("temperature", 1.0),
        "speed": options.get("speed_factor", 1.0),
        "sample_steps": options.get("sample_steps", 32),
        "if_sr": options.get("super_sampling", False),
    }
    if utterance.ref_audio_path:
        if not utterance.prompt_text:
            raise ServiceRejected(
                tr(
                    "api.py 要有参考音频的文字才能合成：请补上 {ref_audio_path} 里说的话（prompt_text）。",
                    ref_audio_path=utterance.ref_audio_path,
                )
            )
        body |= {
            "refer_wav_path": utterance.ref_audio_path,
            "prompt_text": utterance.prompt_text,
            "prompt_language": languages.chinese_name(utterance.prompt_lang),
            "inp_refs": list(utterance.aux_ref_audio_paths),
        }
    # Left out, the server's own -cp holds.
    if "cut_punc" in options:
        body["cut_punc"] = options["cut_punc"]
    elif "text_split_method" in options:
        body["cut_punc"] = _SPLIT_AS_PUNCTUATION[options["text_split_method"]]
    return body


def ended(text: str) -> str:
    """Return the text on one line and ended with punctuation; without, the reference's words leak into the sound."""
    line = " ".join(whole_characters(text).split())
    bare = line.rstrip(_CLOSING)
    if not bare or bare[-1] in _ENDINGS:
        return line
    is_latin = all(character < "\u0250" for character in bare)
    return line + ("." if is_latin else "。")


def _code(language: str, what: str) -> str:
    code = languages.language_code(language)
    if code is None:
        raise SettingsError(
            tr(
                "{what}不能是 {language!r}，应为{allowed}。",
                what=what,
                language=language,
                allowed=languages.allowed(),
            )
        )
    return code
