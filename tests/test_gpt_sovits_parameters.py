from __future__ import annotations

from typing import Any

import pytest

from xiaozhi_persona.errors import ServiceRejected, SettingsError
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect, described
from xiaozhi_persona.providers.tts.gpt_sovits.pool import addresses, base_url
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import (
    Utterance,
    Weights,
    ended,
    utterance_of,
    v1_body,
    v2_body,
)
from xiaozhi_persona.providers.tts.length import is_plausible, longest_s, predicted_s
from xiaozhi_persona.roles.voice_parameters import overlay, read_parameters
from xiaozhi_persona.spine import Clip, Reference, Voice
from xiaozhi_persona.voice_settings import GptSovitsSettings

REFERENCE = Reference("/refs/calm.wav", "参考的话", "zh")


def utterance(clip: Clip | None = None, text: str = "你好", **settings: Any) -> Utterance:
    made = GptSovitsSettings(**settings)
    clip = clip or Clip(reference=REFERENCE)
    return utterance_of(text, clip, made, read_parameters(made.parameters, "gpt_sovits.parameters"))


def test_both_families_of_names_give_the_same() -> None:
    v1 = {
        "refer_wav_path": "a.wav",
        "prompt_text": "甲",
        "prompt_language": "中文",
        "text_language": "英文",
        "inp_refs": ["b.wav"],
        "speed": 1.2,
        "if_sr": True,
    }
    v2 = {
        "ref_audio_path": "a.wav",
        "prompt_text": "甲",
        "prompt_lang": "all_zh",
        "text_lang": "EN",
        "aux_ref_audio_paths": "b.wav",
        "speed_factor": "1.2",
        "super_sampling": "true",
    }
    assert read_parameters(v1, "x") == read_parameters(v2, "x")


def test_the_consoles_names_win() -> None:
    given = {"ref_audio": "new.wav", "ref_audio_path": "old.wav", "ref_text": "新", "prompt_text": "旧"}
    assert read_parameters(given, "x") == {"ref_audio_path": "new.wav", "prompt_text": "新"}


def test_blank_is_not_set() -> None:
    given = {"ref_audio": " ", "ref_audio_path": "a.wav", "top_k": "", "seed": None, "inp_refs": []}
    assert read_parameters(given, "x") == {"ref_audio_path": "a.wav"}


def test_text_as_consoles_give_it_becomes_numbers_and_booleans() -> None:
    given = {
        "top_k": "15",
        "temperature": "0.8",
        "split_bucket": "False",
        "seed": "-1",
        "streaming_mode": "2",
    }
    assert read_parameters(given, "x") == {
        "top_k": 15,
        "temperature": 0.8,
        "split_bucket": False,
        "seed": -1,
        "streaming_mode": 2,
    }


@pytest.mark.parametrize(
    ("given", "mode"),
    [(False, 0), (True, 1), ("true", 1), (0, 0), (3, 3), ("fast", 3), ("false", 0), (2.0, 2)],
)
def test_streaming_mode_in_every_spelling(given: Any, mode: int) -> None:
    assert read_parameters({"streaming_mode": given}, "x") == {"streaming_mode": mode}


def test_batch_size_is_never_0() -> None:
    assert read_parameters({"batch_size": 0}, "x") == {"batch_size": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 0),
        ("top_k", "many"),
        ("top_k", 1.5),
        ("top_p", 2),
        ("temperature", float("nan")),
        ("speed", 0),
        ("text_language", "克林贡语"),
        ("text_split_method", "cut9"),
        ("media_type", "aac"),
        ("streaming_mode", 4),
        ("overlap_length", 0),
        ("seed", -2),
        ("split_bucket", "maybe"),
        ("aux_ref_audio_paths", 3),
    ],
)
def test_a_value_the_servers_cannot_use_is_refused_with_its_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^gpt_sovits.parameters 的 {name} 不能是"):
        read_parameters({name: value}, "gpt_sovits.parameters")


def test_an_unknown_name_is_refused_with_the_near_one() -> None:
    with pytest.raises(SettingsError, match="temprature.*temperature"):
        read_parameters({"temprature": 1}, "gpt_sovits.parameters")


def test_another_reference_drops_the_text_of_the_old_one() -> None:
    below = {"ref_audio_path": "a.wav", "prompt_text": "甲", "prompt_lang": "zh", "top_k": 5}
    assert overlay(below, {"ref_audio_path": "b.wav"}) == {"ref_audio_path": "b.wav", "top_k": 5}
    assert overlay(below, {"prompt_text": "乙"}) == {**below, "prompt_text": "乙"}


def test_every_parameter_is_sent_to_v2() -> None:
    body = v2_body(utterance(parameters={"top_k": 7, "sample_steps": 16}))
    assert body == {
        "text": "你好。",
        "text_lang": "auto",
        "ref_audio_path": "/refs/calm.wav",
        "aux_ref_audio_paths": [],
        "prompt_text": "参考的话。",
        "prompt_lang": "zh",
        "top_k": 7,
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
        "sample_steps": 16,
        "super_sampling": False,
        "overlap_length": 2,
        "min_chunk_length": 16,
        "streaming_mode": 2,
    }


@pytest.mark.parametrize(("mode", "batch_size"), [(0, 20), (1, 20), (2, 1), (3, 1)])
def test_batch_size_is_1_where_only_the_first_of_a_batch_is_spoken(mode: int, batch_size: int) -> None:
    body = v2_body(utterance(streaming_mode=mode, parameters={"batch_size": 20}))
    assert body["batch_size"] == batch_size


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_a_release_without_chunks_gets_true(mode: int) -> None:
    assert v2_body(utterance(streaming_mode=mode), knows_chunks=False)["streaming_mode"] is True


def test_v1_gets_its_own_names_and_chinese_language_names() -> None:
    clip = Clip(
        reference=Reference("a.wav", "Hi there", "en", ("b.wav",)), voice=Voice(language="zh"), speed=1.5
    )
    body = v1_body(utterance(clip, parameters={"super_sampling": True, "speed": 0.8}))
    assert body == {
        "text": "你好。",
        "text_language": "中英混合",
        "refer_wav_path": "a.wav",
        "prompt_text": "Hi there.",
        "prompt_language": "英文",
        "inp_refs": ["b.wav"],
        "top_k": 15,
        "top_p": 1.0,
        "temperature": 1.0,
        "speed": 1.2,
        "sample_steps": 32,
        "if_sr": True,
    }


@pytest.mark.parametrize(
    ("parameters", "cut_punc", "split"),
    [
        ({}, None, "cut5"),
        ({"cut_punc": "。"}, "。", "cut3"),
        ({"cut_punc": "，。"}, "，。", "cut5"),
        ({"text_split_method": "cut0"}, "", "cut0"),
        ({"text_split_method": "cut3"}, "。", "cut3"),
        ({"text_split_method": "cut0", "cut_punc": "，"}, "，", "cut0"),
    ],
)
def test_cutting_is_translated_for_each_api(
    parameters: dict[str, Any], cut_punc: str | None, split: str
) -> None:
    made = utterance(parameters=parameters)
    assert v1_body(made).get("cut_punc") == cut_punc
    assert v2_body(made)["text_split_method"] == split
    assert "cut_punc" not in v2_body(made)


def test_the_role_wins_over_the_settings_and_the_clip_over_both() -> None:
    settings = {
        "ref_audio_path": "s.wav",
        "prompt_text": "设置",
        "top_k": 5,
        "text_lang": "ja",
        "inp_refs": ["s2.wav"],
    }
    of_role = {"refer_wav_path": "r.wav", "prompt_text": "角色", "top_k": 6, "inp_refs": ["r2.wav"]}
    voice = Voice(parameters=of_role)
    made = utterance(Clip(), parameters=settings)
    assert (made.ref_audio_path, made.options["top_k"], made.text_lang) == ("s.wav", 5, "ja")
    made = utterance(Clip(voice=voice), parameters=settings)
    assert (made.ref_audio_path, made.prompt_text, made.options["top_k"]) == ("r.wav", "角色。", 6)
    assert made.aux_ref_audio_paths == ("r2.wav",)
    made = utterance(Clip(voice=voice, reference=REFERENCE), parameters=settings)
    assert (made.ref_audio_path, made.prompt_text) == ("/refs/calm.wav", "参考的话。")
    assert made.aux_ref_audio_paths == ("r2.wav",)  # they average the voice's timbre, whatever its emotion


def test_weights_of_the_role_else_of_the_settings() -> None:
    named: dict[str, Any] = {"gpt_weights": "d.ckpt", "sovits_weights": "d.pth"}
    assert utterance(**named).weights == Weights("d.ckpt", "d.pth")
    clip = Clip(reference=REFERENCE, voice=Voice(weights={"gpt": "r.ckpt", "sovits": "r.pth"}))
    assert utterance(clip, **named).weights == Weights("r.ckpt", "r.pth")


def test_no_reference_is_refused_by_v2_and_left_to_the_server_by_v1() -> None:
    made = utterance(Clip())
    with pytest.raises(ServiceRejected, match="没有参考音频"):
        v2_body(made)
    assert "refer_wav_path" not in v1_body(made)


def test_v1_wants_the_words_of_a_reference() -> None:
    with pytest.raises(ServiceRejected, match="prompt_text"):
        v1_body(utterance(Clip(reference=Reference("a.wav"))))


def test_unknown_parameters_and_languages_of_a_role_are_settings_errors() -> None:
    with pytest.raises(SettingsError, match="角色的 parameters"):
        utterance(Clip(voice=Voice(parameters={"speeed": 1})))
    with pytest.raises(SettingsError, match="角色的语言"):
        utterance(Clip(voice=Voice(language="xx")))


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("你好", "你好。"),
        ("你好！", "你好！"),
        ("他说“好。”", "他说“好。”"),
        ("他说“好”", "他说“好”。"),
        ("Hello", "Hello."),
        ("你好\n世界 ", "你好 世界。"),
        ("今天，", "今天，"),
        ("", ""),
    ],
)
def test_text_is_ended_with_punctuation_on_one_line(text: str, spoken: str) -> None:
    assert ended(text) == spoken


@pytest.mark.parametrize("text", ["", "  ", "……", "。！"])
def test_a_text_without_words_is_not_sent(text: str) -> None:
    with pytest.raises(ServiceRejected):
        utterance(text=text)


def test_another_seed_is_another_one_only_where_one_was_set() -> None:
    assert utterance().with_another_seed() == utterance()
    assert utterance(parameters={"seed": 7}).with_another_seed().options["seed"] == 8


def test_predicted_length_follows_text_and_speed() -> None:
    assert predicted_s("今天天气很好。") == pytest.approx(1.57, abs=0.01)
    assert predicted_s("今天天气很好。", 2.0) == pytest.approx(0.785, abs=0.01)
    assert predicted_s("The weather is nice.") == pytest.approx(1.45, abs=0.05)
    assert is_plausible(1.2, 1.5) and not is_plausible(0.3, 1.5) and not is_plausible(5.0, 1.5)
    assert longest_s(0.3) == 2.0  # one drawn-out word


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a:9880", "http://a:9880"),
        ("http://a:9880/", "http://a:9880"),
        ("http://a:9880/tts", "http://a:9880"),
        ("http://a:9880/tts/tts/", "http://a:9880"),
        (" 192.168.1.9:9880 ", "http://192.168.1.9:9880"),
        ("https://x.example/gsv/tts?text=1", "https://x.example/gsv"),
        ("http://[::1]:9880", "http://[::1]:9880"),
    ],
)
def test_addresses_with_and_without_path(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize("text", ["http://", "ftp://a", "http://a:99999", "http://a b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="有效的地址"):
        base_url(text)


def test_the_environment_names_servers_where_the_settings_do_not() -> None:
    environ = {"TTS_SERVICE_URL_GPTSoVITS": "http://e:1, http://f:2/tts"}
    assert addresses(GptSovitsSettings(), environ) == ["http://e:1", "http://f:2"]
    assert addresses(GptSovitsSettings(servers=["g:3", ""]), environ) == ["http://g:3"]
    with pytest.raises(SettingsError, match="TTS_SERVICE_URL_GPTSoVITS"):
        addresses(GptSovitsSettings(), {})


def test_what_is_no_description_describes_nothing() -> None:
    for data in (None, [], {}, {"paths": []}, {"paths": {"/": {"get": None}}}, {"paths": {"/predict": {}}}):
        assert described(data) is None
    assert described({"paths": {"/tts": {}}}) == Dialect("v2", "/tts")


@pytest.mark.parametrize(
    ("text", "language", "read_as"),
    [
        ("こんにちは、元気ですか。", "zh", "ja"),
        ("안녕하세요.", "zh", "ko"),
        ("How are you?", "zh", "en"),
        ("今天用 Python 写。", "zh", "zh"),
        ("今天很好。", "all_zh", "all_zh"),
        ("明日は晴れです。", "all_ja", "all_ja"),
        ("明天见。", "ja", "ja"),
        ("明天见。", "en", "zh"),
        ("食咗饭未？", "yue", "yue"),
        ("How are you?", "auto", "auto"),
        ("优の良品很好吃。", "zh", "zh"),
        ("A 还是 B？", "zh", "zh"),
        ("12345", "ja", "ja"),
    ],
)
def test_a_sentence_is_read_in_the_language_of_its_script(text: str, language: str, read_as: str) -> None:
    clip = Clip(voice=Voice(language=language), reference=Reference(path="a.wav", text="好。", language="zh"))
    made = utterance_of(text, clip, GptSovitsSettings(), {})
    assert (made.text_lang, made.prompt_lang) == (read_as, "zh")
