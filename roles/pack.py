"""role.yaml: every key of a role pack, what it is for, and how mistakes in it are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import inside, read_yaml
from xiaozhi_persona.text.emotions import FACES
from xiaozhi_persona.written_paths import WrittenPath
from xiaozhi_persona.yaml_files import explain, field_at

EmotionSource = Literal["tag", "emoji", "classifier", "lexicon", "default"]
"""Where the feeling of a sentence is taken from."""

Speed = Annotated[float, Field(ge=0.5, le=2.0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OwnEmotion(_Part):
    """An emotion of the role's own, or another name for a built-in one."""

    like: str = Field("", description="最接近的感情，如 高兴；只写它就是别名")
    face: str = Field("", description="设备上的表情，如 happy；写了它就是角色自己的感情")

    @field_validator("face")
    @classmethod
    def _known(cls, face: str) -> str:
        if face and face not in FACES:
            raise ValueError(tr("表情只能是 ") + tr("、").join(FACES))
        return face


class ClipEntry(_Part):
    """A reference clip that is listed in role.yaml."""

    file: WrittenPath = Field("", description="角色包里的文件，如 refs/高兴/01.wav")
    server_path: WrittenPath = Field("", description="只在 GPT-SoVITS 机器上有的文件，写它那里的路径")
    text: str = Field("", description="里面说的话")
    language: str = Field("", description="说的语言，如 zh、ja")
    aux: list[WrittenPath] = Field([], description="辅助参考音频，角色包里的文件")
    server_aux: list[WrittenPath] = Field([], description="辅助参考音频，GPT-SoVITS 机器上的路径")

    @field_validator("file", "aux")
    @classmethod
    def _in_the_pack(cls, value: str | list[str]) -> str | list[str]:
        for text in [value] if isinstance(value, str) else value:
            if text and inside(text) is None:
                raise ValueError(
                    tr("角色包里的相对路径；GPT-SoVITS 机器上的路径写在 server_path、server_aux")
                )
        return value


class LoreRule(_Part):
    """How much of the lore books is used."""

    max_entries: int | None = Field(None, ge=0, le=50, description="每次最多带上几条")
    threshold: float | None = Field(None, ge=0.0, le=1.0, description="相似度至少多少")


class MemoryRule(_Part):
    """Which memory is used, and how much of it."""

    own: bool = Field(False, description="true 为自己的一份记忆，和别的角色互不知道；false 为和别的角色共用")
    threshold: float | None = Field(None, ge=0.0, le=1.0, description="相似度至少多少")


class RoleSheet(_Part):
    """All of role.yaml."""

    name: str = Field(min_length=1, description="角色的名字，各处的 {{char}}")
    user: str = Field("", description="对用户的称呼，各处的 {{user}}")
    description: str = Field("", description="人物设定")
    personality: str = Field("", description="性格")
    mask: str = Field("", description="用户是谁")
    examples: list[str] = Field([], description="说话的样子")
    openings: list[str] = Field([], description="开场白")
    waiting: list[str] = Field(
        ["稍等，我看看。"], description="工具要办一会儿时先说的话，每句一轮最多说一次；[] 为不说"
    )
    prompt: str = Field("", description="其他要求，原样写进提示词")
    language: str = Field("", description="说的语言，如 zh、中英混合；留空用 gpt_sovits 的默认")
    reference_language: str = Field("", description="参考音频的语言，如 ja；留空时看文字")
    voice: str = Field("", description="语音合成里现成的声音，写它的名字；用参考音频的不写")
    voices: dict[str, str] = Field({}, description="各种感情的声音，写名字，如 {高兴: nova}")
    gpt_weights: WrittenPath = Field("", description="GPT 权重：角色包里的文件，或服务器上的路径")
    sovits_weights: WrittenPath = Field("", description="SoVITS 权重：角色包里的文件，或服务器上的路径")
    parameters: dict[str, Any] = Field({}, description="合成参数，两种接口的键名都可以")
    speed: Speed = Field(1.0, description="语速")
    speeds: dict[str, Speed] = Field({}, description="各种感情的语速，如 {悲伤: 0.9}")
    emotion_sources: list[EmotionSource] = Field(
        list(get_args(EmotionSource)), description="一句话的感情从哪里来，排在前的先用"
    )
    default_emotion: str = Field("", description="没有感情时用哪种感情")
    emotions: dict[str, OwnEmotion] = Field(
        {}, description="别名和自己的感情，如 {得瑟: 骄傲, 傲娇: {face: confident}}"
    )
    stage_directions: Literal["skip", "speak"] = Field(
        "skip", description="动作描写，如 *叹气*、（歪头）：skip 不念，speak 念出来"
    )
    references: dict[str, list[ClipEntry]] = Field({}, description="参考音频，按感情；refs/感情/ 里的不必写")
    server_dir: WrittenPath = Field(
        "", description="这个角色包在 GPT-SoVITS 机器上的文件夹，如 D:\\voices\\x"
    )
    classifier: str = Field("BERT", description="文字感情分类模型的文件夹")
    lore: LoreRule = Field(LoreRule(), description="世界书")
    memory: MemoryRule = Field(MemoryRule(), description="记忆")

    @field_validator("emotions", mode="before")
    @classmethod
    def _aliases(cls, emotions: Any) -> Any:
        if not isinstance(emotions, dict):
            return emotions
        return {
            name: {"like": value} if isinstance(value, str) else value for name, value in emotions.items()
        }


def read_sheet(file: Path) -> RoleSheet:
    """Read and check a role.yaml. Raises SettingsError that names file, key and what is allowed."""
    try:
        return RoleSheet.model_validate(read_yaml(file))
    except ValidationError as exc:
        raise SettingsError(
            "\n".join(
                tr("{file}：{explain}", file=file, explain=_explain(error)) for error in exc.errors()[:5]
            )
        ) from exc


def _explain(error: Any) -> str:
    """Turn one finding of pydantic into: which key, what is allowed, what the key is for."""
    field = field_at(RoleSheet, [str(part) for part in error["loc"]])
    is_value = error["type"] not in ("extra_forbidden", "missing")
    return explain(error, RoleSheet) + (
        tr("（{description}）", description=tr(field.description or "")) if field and is_value else ""
    )
