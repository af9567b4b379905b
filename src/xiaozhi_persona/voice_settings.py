"""The settings of the voices: which synthesizer speaks, and a section for each of them under its name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from xiaozhi_persona.settings_section import Section
from xiaozhi_persona.written_paths import WrittenPath


class TtsSettings(Section):
    """语音合成"""

    engine: Literal["espeak", "gpt_sovits", "openai_speech", "xtts"] = Field(
        "espeak",
        description="espeak 为自带的机器声；gpt_sovits 为你的 GPT-SoVITS 服务器；openai_speech 为 OpenAI 兼容的语音接口，也有 coqui-tts 的；xtts 为 xtts-api-server。各见同名的一节",
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

    server_dirs: dict[str, WrittenPath] = Field(
        {},
        description="角色包在语音合成那台机器上的文件夹，服务器不在本机时要写，如 {xiaoyu: 'D:\\voices\\xiaoyu'}；voices send 会写好",
    )
    connect_timeout_s: float = Field(2.0, ge=0.1, le=30.0, description="连接的时限")
    first_audio_timeout_s: float = Field(
        8.0, ge=0.5, le=120.0, description="等第一段声音的时限，之后由 tts.fallback 来说"
    )
    audio_timeout_s: float = Field(8.0, ge=0.5, le=120.0, description="两段声音之间的时限")
    retry_after_s: float = Field(30.0, ge=1.0, le=600.0, description="一台服务器失败后隔多久再试它")
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
    gpt_weights: WrittenPath = Field(
        "", description="默认的 GPT 权重，写服务器上的路径；角色没有自己的权重时用它"
    )
    sovits_weights: WrittenPath = Field("", description="默认的 SoVITS 权重，写服务器上的路径")
    parameters: dict[str, Any] = Field(
        {},
        description="默认的合成参数，两种接口的键名都可以用，如 {top_k: 15, temperature: 1.0, ref_audio_path: 参考音频, prompt_text: 它的文字, prompt_lang: zh}",
    )


class HttpSpeechSettings(VoiceServerSettings):
    """What every synthesizer is set with that asks one server, and has voices by name or by a recording."""

    base_url: str
    voice: str = Field("", description="声音的名字，是服务器给它的；角色的 voice、voices（按感情）先于它")
    cloning: bool


class OpenAiSpeechSettings(HttpSpeechSettings):
    """OpenAI 兼容的语音接口：OpenAI、Kokoro-FastAPI、openedai-speech、coqui-tts 等"""

    base_url: str = Field("", description="服务器地址，如 http://192.168.1.9:8880/v1；没有写路径时当作有 /v1")
    api: Literal["openai", "coqui"] = Field(
        "openai",
        description="openai 为 /v1/audio/speech；coqui 为 coqui-tts 服务器自己的 /api/tts，每句的语言都告诉它，/v1 只说启动时 --language_idx 的语言",
    )
    api_key: str = Field("", description="密钥，可写成 ${环境变量}；本地的服务器一般不要")
    model: str = Field("tts-1", description="模型名；留空为不写")
    cloning: bool = Field(
        False,
        description="服务器会克隆声音：把感情的参考音频的路径当作 voice 发给它，路径要是服务器那台机器上的",
    )
    response_format: Literal["wav", "pcm", "opus", "mp3"] = Field(
        "wav",
        description="要什么格式。wav 说明了采样率，多数服务器能边做边给；pcm 要写对 pcm_rate_hz；opus、mp3 省网络。服务器给了别的，也认得出来",
    )
    pcm_rate_hz: int = Field(
        24000, ge=8000, le=96000, description="pcm 的采样率，服务器没有说明时用；OpenAI 和 XTTS 是 24000"
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="随请求发出的其他参数，如 {lang_code: z, instructions: 轻一点}"
    )


class XttsSettings(HttpSpeechSettings):
    """XTTS：xtts-api-server，用每种感情的参考音频克隆声音"""

    base_url: str = Field("", description="服务器地址，如 http://192.168.1.9:8020")
    cloning: bool = Field(
        True,
        description="把感情的参考音频的路径发给它，路径要是服务器那台机器上的 .wav；false 为只用声音的名字，是它 speakers 文件夹里的",
    )


class VoiceSections(Section):
    """The part of the settings that is about voices."""

    tts: TtsSettings = Field(default_factory=TtsSettings)
    espeak: EspeakSettings = Field(default_factory=EspeakSettings)
    gpt_sovits: GptSovitsSettings = Field(default_factory=GptSovitsSettings)
    openai_speech: OpenAiSpeechSettings = Field(default_factory=OpenAiSpeechSettings)
    xtts: XttsSettings = Field(default_factory=XttsSettings)

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
