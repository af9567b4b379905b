"""Every setting: its name, default, unit, range and what it is for. config.yaml is rendered from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


class Section(BaseModel):
    """A part of config.yaml: frozen, strict about types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PathSettings(Section):
    """路径"""

    data: str = Field(
        "./data",
        min_length=1,
        description="数据文件夹：导入的角色、记忆、模型、缓存。相对路径从本文件所在的文件夹算起",
    )


class LogSettings(Section):
    """日志"""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="日志详细程度。只有 debug 会写出说话的内容"
    )


class BridgeSettings(Section):
    """桥：设备连接的服务"""

    host: str = Field(
        "0.0.0.0", min_length=1, description="监听地址；0.0.0.0 为本机所有网卡，127.0.0.1 为只限本机"
    )
    websocket_port: int = Field(8000, ge=1, le=65535, description="WebSocket 端口")
    http_port: int = Field(8003, ge=1, le=65535, description="HTTP 端口（OTA 与健康检查）")
    websocket_url: str = Field(
        "",
        pattern=r"^(wss?://\S+)?$",
        description="告诉设备的 WebSocket 地址，如 ws://192.168.1.5:8000/xiaozhi/v1/；留空时取设备访问 OTA 所用的主机名",
    )
    token: str = Field("", description="设备要出示的令牌，由 OTA 发给设备；留空为不检查。可写成 ${环境变量}")
    binary_version: Literal[1, 2, 3] = Field(1, description="让设备使用的二进制协议版本")


class SessionSettings(Section):
    """会话：一台设备的一次连接"""

    wake_words: list[str] = Field(
        ["你好小智", "小智小智", "小智", "你好小明", "嘿你好呀", "hi esp", "hi lily", "hey wanda", "jarvis"],
        description="唤醒词。设备上报的文字是其中之一时只算唤醒，其他文字当作打字输入",
    )
    start_gap_ms: int = Field(
        150, ge=0, le=2000, description="tts start 到第一包声音至少相隔的时间，设备要用它切换状态"
    )
    lead_packets: int = Field(
        5, ge=1, le=20, description="声音领先播放的包数（每包 60 毫秒）；越大越抗抖动，打断越慢"
    )
    stop_margin_ms: int = Field(200, ge=0, le=3000, description="设备放完之后再等多久发 tts stop")
    idle_s: float = Field(
        100.0, ge=5.0, le=115.0, description="没有人说话多久后断开连接；设备在 120 秒没有消息时会当连接已死"
    )
    hello_timeout_s: float = Field(10.0, ge=1.0, le=60.0, description="连接后等待设备 hello 的时间")


class VadSettings(Section):
    """语音端点检测：什么时候算说完了"""

    model: str = Field("", description="Silero VAD 的 ONNX 文件；留空时用已安装的 silero-vad 包里的")
    threshold: float = Field(0.5, ge=0.05, le=0.95, description="判为说话的概率门限")
    silence_ms: int = Field(400, ge=100, le=3000, description="停顿多久算说完")
    min_speech_ms: int = Field(128, ge=32, le=2000, description="短于此的声音不算说话")
    pre_roll_ms: int = Field(320, ge=0, le=2000, description="保留开口之前多少声音，免得吃掉第一个字")
    max_utterance_s: float = Field(30.0, ge=2.0, le=120.0, description="一句话最长多久，到时就当作说完")


class AsrSettings(Section):
    """语音识别（FunASR）"""

    model: str = Field(
        "",
        description="SenseVoiceSmall 的 ONNX 文件夹（内有 model.onnx 或 model_quant.onnx）；留空时用自带的小模型，它只认识演示的句子",
    )
    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field("auto", description="说的语言")
    timeout_s: float = Field(10.0, ge=1.0, le=60.0, description="识别一句话的时限")


class LlmSettings(Section):
    """对话模型（OpenAI 兼容接口）"""

    base_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="接口地址，如 https://api.deepseek.com/v1；留空时用自带的离线应答，它只会简单的话",
    )
    api_key: str = Field("", description="密钥，可写成 ${环境变量}")
    model: str = Field("", description="模型名")
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="随请求发出的其他参数，如 {temperature: 0.7, enable_thinking: false}",
    )
    connect_timeout_s: float = Field(5.0, ge=0.5, le=60.0, description="连接的时限")
    first_token_timeout_s: float = Field(15.0, ge=1.0, le=120.0, description="等第一个字的时限")
    token_timeout_s: float = Field(10.0, ge=1.0, le=120.0, description="两段文字之间的时限")
    history_turns: int = Field(10, ge=0, le=100, description="带上最近几轮对话")


class TtsSettings(Section):
    """语音合成（eSpeak NG）"""

    voice: str = Field(
        "cmn-latn-pinyin", min_length=1, description="中文的 eSpeak 语音名；英文和日文的句子自动换语音"
    )
    rate_wpm: int = Field(175, ge=80, le=450, description="语速，每分钟词数")
    pitch: int = Field(50, ge=0, le=99, description="音高")
    timeout_s: float = Field(10.0, ge=1.0, le=60.0, description="一句话等第一段声音的时限")


class PhraseSettings(Section):
    """出错时说的话"""

    not_understood: str = Field("[困惑]抱歉，我没有听清。", description="语音识别出错时")
    chat_failed: str = Field("[悲伤]抱歉，我现在连不上大脑，请稍后再试。", description="对话模型没有回答时")


class Settings(Section):
    """All of config.yaml."""

    role: str = Field("default", min_length=1, description="角色")
    paths: PathSettings = Field(default_factory=PathSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    bridge: BridgeSettings = Field(default_factory=BridgeSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)
    vad: VadSettings = Field(default_factory=VadSettings)
    asr: AsrSettings = Field(default_factory=AsrSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    tts: TtsSettings = Field(default_factory=TtsSettings)
    phrases: PhraseSettings = Field(default_factory=PhraseSettings)

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    def path(self, text: str) -> Path:
        """Return a path of the settings; a relative one starts at the folder of config.yaml."""
        return self._folder / Path(text).expanduser()

    @property
    def data_dir(self) -> Path:
        """The folder for imported roles, memory, models and caches."""
        return self.path(self.paths.data)

    def at(self, folder: Path) -> Settings:
        """Return the same settings, with relative paths starting at `folder`."""
        copy = self.model_copy()
        copy._folder = folder
        return copy
