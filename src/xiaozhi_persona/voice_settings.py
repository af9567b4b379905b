"""The settings of the voices: which synthesizer speaks, and a section for each of them under its name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from xiaozhi_persona.settings_section import Section


class TtsSettings(Section):
    """语音合成"""

    engine: Literal["espeak", "gpt_sovits"] = Field(
        "espeak", description="espeak 为自带的机器声；gpt_sovits 为你的 GPT-SoVITS 服务器，见 gpt_sovits"
    )
    fallback: Literal["espeak", "none"] = Field(
        "espeak", description="服务器没有及时回答时由谁说这一句；none 为不说"
    )
    timeout_s: float = Field(10.0, ge=1.0, le=60.0, description="一句话等第一段声音的时限")


class EspeakSettings(Section):
    """eSpeak NG：自带的机器声"""

    voice: str = Field(
        "cmn-latn-pinyin", min_length=1, description="中文的 eSpeak 语音名；英文和日文的句子自动换语音"
    )
    rate_wpm: int = Field(175, ge=80, le=450, description="语速，每分钟词数")
    pitch: int = Field(50, ge=0, le=99, description="音高")


class VoiceServerSettings(Section):
    """What every synthesizer is set with that asks servers."""

    server_dirs: dict[str, str] = Field(
        {},
        description="角色包在语音合成那台机器上的文件夹，服务器不在本机时要写，如 {xiaoyu: 'D:\\voices\\xiaoyu'}；voices send 会写好",
    )
    connect_timeout_s: float = Field(2.0, ge=0.1, le=30.0, description="连接的时限")
    first_audio_timeout_s: float = Field(
        8.0, ge=0.5, le=120.0, description="等第一段声音的时限，之后由 tts.fallback 来说"
    )
    audio_timeout_s: float = Field(8.0, ge=0.5, le=120.0, description="两段声音之间的时限")
    cache_mb: int = Field(
        64, ge=0, le=4096, description="固定句子的声音在磁盘上最多占多少，单位 MB；0 为不存"
    )


class GptSovitsSettings(VoiceServerSettings):
    """GPT-SoVITS：它的 api.py（v1）或 api_v2.py（v2）"""

    servers: list[str] = Field(
        [],
        description="服务器地址，可以几台，如 [http://192.168.1.9:9880]；留空时读环境变量 TTS_SERVICE_URL_GPTSoVITS",
    )
    api: Literal["auto", "v1", "v2"] = Field("auto", description="接口；auto 为自动分辨")
    streaming_mode: Literal[0, 1, 2, 3, "fast"] = Field(
        2,
        description="v2 的流式方式：0 整句，1 逐句，2 句内分块，3 或 fast 更快而音质低些；老服务器不认 2、3 时自动用 1",
    )
    gpt_weights: str = Field("", description="默认的 GPT 权重，写服务器上的路径；角色没有自己的权重时用它")
    sovits_weights: str = Field("", description="默认的 SoVITS 权重，写服务器上的路径")
    parameters: dict[str, Any] = Field(
        {},
        description="默认的合成参数，两种接口的键名都可以用，如 {top_k: 15, temperature: 1.0, ref_audio_path: 参考音频, prompt_text: 它的文字, prompt_lang: zh}",
    )
    retry_after_s: float = Field(30.0, ge=1.0, le=600.0, description="一台服务器失败后隔多久再试它")


class VoiceSections(Section):
    """The part of the settings that is about voices."""

    tts: TtsSettings = Field(default_factory=TtsSettings)
    espeak: EspeakSettings = Field(default_factory=EspeakSettings)
    gpt_sovits: GptSovitsSettings = Field(default_factory=GptSovitsSettings)

    @property
    def sentence_timeout_s(self) -> float:
        """How long a sentence may take to its first sound, the fallback's turn included."""
        chosen = getattr(self, self.tts.engine)
        first = chosen.first_audio_timeout_s if isinstance(chosen, VoiceServerSettings) else 0.0
        return first + self.tts.timeout_s

    @property
    def server_dirs(self) -> dict[str, str]:
        """Where role packs lie on the machine of the synthesizer that is chosen, else of another one, by role."""
        names = [self.tts.engine, *VoiceSections.model_fields]
        sections = [getattr(self, name) for name in reversed(names)]
        found = [section.server_dirs for section in sections if isinstance(section, VoiceServerSettings)]
        return {role: folder for folders in found for role, folder in folders.items()}
