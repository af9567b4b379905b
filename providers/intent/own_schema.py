"""What may stand in an owner's file of intents, and where in the file each thing stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.memory.commands import parse_command
from xiaozhi_persona.settings_section import Section
from xiaozhi_persona.yaml_files import explain, not_yaml, parse_mapping

Place = tuple[str | int, ...]

_SLOT = re.compile(r"\{(\w{1,40})\}")
_MAX_WORDS = 500


def _a_list(value: Any) -> Any:
    if value == "any":
        return value
    if isinstance(value, dict) and set(value) == {"from", "to"}:
        if all(isinstance(end, int | float) for end in value.values()) and value["from"] < value["to"]:
            return value
        raise ValueError(tr("from 和 to 写数字，from 小于 to"))
    listed = [value] if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if not listed or not all(isinstance(words, list) for words in listed):
        raise ValueError(tr("[词, 词]，或 {值: [词, 词]}，或 {from: 16, to: 30}，或 any（任何话）"))
    words = [word for part in listed for word in part]
    if not all(isinstance(word, str) and 0 < len(word) <= 40 for word in words):
        raise ValueError(tr("每个词是 1 到 40 个字的文字；数字加上引号"))
    if not 0 < len(words) <= _MAX_WORDS:
        raise ValueError(tr("1 到 {count} 个词", count=_MAX_WORDS))
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^\w+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Http(Section):
    """A request to a server of the owner's."""

    url: Annotated[str, StringConstraints(pattern="^https?://", max_length=500)] = Field(
        description=later("http:// 或 https:// 开头的网址")
    )
    method: str = Field("POST", pattern="^(GET|POST|PUT)$", description=later("GET、POST 或 PUT"))
    body: dict[str, str | int | float | bool] = Field({}, description=later("JSON 的内容，值里可写 {槽}"))


class Do(Section):
    """What is done: one of these."""

    tool: str | None = Field(None, max_length=100, description=later("工具的名字"))
    arguments: dict[str, str | int | float | bool] = Field(
        {}, description=later("给工具的参数，值里可写 {槽}")
    )
    say: str | None = Field(None, max_length=500, description=later("说一句话，就是全部"))
    memory: str | None = Field(None, max_length=100, description=later("对记忆说的一句话，如 记住{what}"))
    role: str | None = Field(None, max_length=40, description=later("换成的角色，可写 {role}"))
    http: Http | None = Field(None, description=later("请求一个网址"))

    @model_validator(mode="after")
    def _is_one(self) -> Do:
        given = [
            name for name in ("tool", "say", "memory", "role", "http") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(tr("tool、say、memory、role、http 里写一个，只写一个"))
        if self.arguments and not self.tool:
            raise ValueError(tr("arguments 只和 tool 一起写"))
        if self.memory is not None and parse_command(_SLOT.sub("一件事", self.memory)) is None:
            raise ValueError(tr("memory 写一句记忆听得懂的话，如 记住{what}、忘掉{what}、接下来的不要记"))
        return self


class OwnIntent(Section):
    """An intent of the owner's."""

    sentences: list[Text] = Field(min_length=1, max_length=200, description=later("怎么说，一句或几句"))
    do: Do | None = Field(None, description=later("做什么"))
    say: str | None = Field(None, max_length=500, description=later("做完说什么，可写 {槽}"))

    def slots_used(self) -> Iterator[str]:
        """Yield the names of the slots that stand in what is to be done and said."""
        texts: list[Any] = [self.say]
        if self.do:
            texts += [self.do.say, self.do.memory, self.do.role, *self.do.arguments.values()]
            if self.do.http:
                texts += [self.do.http.url, *self.do.http.body.values()]
        for text in texts:
            yield from _SLOT.findall(text) if isinstance(text, str) else ()


class OwnSheet(Section):
    """A file."""

    intents: dict[Name, OwnIntent] = Field(min_length=1, description=later("意图：名字，和它的句子"))
    rules: dict[Name, Text] = Field({}, max_length=100, description=later("有名字的一段，在句子里写 <名字>"))
    lists: dict[Name, Annotated[Any, BeforeValidator(_a_list)]] = Field(
        {}, max_length=100, description=later("槽：名字，和它的词")
    )


def check(text: str, file: Path) -> tuple[OwnSheet, Callable[[Place], int]]:
    """Read a file; return it, and what tells the line of a place in it. Raises SettingsError."""
    if "&" in text or "*" in text:
        _refuse_references(text, file)
    data = parse_mapping(text, file)
    root = yaml.compose(text, yaml.SafeLoader)
    for key, line in _keys_that_are_no_text(root):
        raise SettingsError(
            tr(
                '{file} 第 {line} 行：键 {key} 在 YAML 里不是文字（Off、On、Yes、No 是真假，123 是数字）。给它加上引号："{key}":',
                file=file,
                line=line,
                key=key,
            )
        )

    def line_of(place: Place) -> int:
        return _line(root, place)

    try:
        return OwnSheet.model_validate(data), line_of
    except ValidationError as exc:
        errors = exc.errors()
        # A key that is not there is a spelling mistake, of which a key that is missing is only the other half.
        error = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        raise SettingsError(
            tr(
                "{file} 第 {line} 行：{told}",
                file=file,
                line=line_of(error["loc"]),
                told=explain(error, OwnSheet) if error["loc"] else error["msg"],
            )
        ) from exc


def _refuse_references(text: str, file: Path) -> None:
    """Refuse & and *, with which a short file can become an endless one."""
    try:
        for token in yaml.scan(text, yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise SettingsError(
                    tr(
                        "{file} 第 {line} 行：这里不用 & 和 * 开头的引用。给文字加上引号，或把内容再写一遍。",
                        file=file,
                        line=token.start_mark.line + 1,
                    )
                )
    except yaml.YAMLError as exc:
        raise not_yaml(exc, file) from exc


def _keys_that_are_no_text(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                yield str(key.value), key.start_mark.line + 1
            yield from _keys_that_are_no_text(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _keys_that_are_no_text(value)


def _line(node: Any, place: Place) -> int:
    """Return the line of a place, or of the nearest one around it."""
    line = 1
    for part in place:
        inner: Any = None
        if isinstance(node, yaml.MappingNode):
            inner = next((pair for pair in node.value if pair[0].value == str(part)), None)
            line = inner[0].start_mark.line + 1 if inner else line
            inner = inner and inner[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = node.value[part]
            line = inner.start_mark.line + 1
        if inner is None:
            break
        node = inner
    return line
