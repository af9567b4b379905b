"""What a person does in the host's web console (智控台), whose settings replace data/.config.yaml.

Menus and field names: manager-web of 0.9.1 to 0.9.6 (src/i18n/zh_CN.js, components/ProviderDialog.vue,
AddModelDialog.vue); tables: ai_model_provider, ai_model_config and sys_params of manager-api.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xiaozhi_persona.installer.merge import PROMPT_FILE
from xiaozhi_persona.installer.survey import Host
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import ROLE, TOOLS, Door
from xiaozhi_persona.providers.host.tool_names import ROLE_TOOL, TOOL_NAMES
from xiaozhi_persona.roles.role import Role

MAX_PROMPT_CHARACTERS = 2000
"""What the console's field for the role's description takes (manager-web, views/roleConfig.vue)."""


@dataclass(frozen=True)
class _Menu:
    """What the console calls a kind of module: in 字段管理, in 模型配置, in an agent's settings."""

    category: str
    models: str
    choice: str


_MENUS: Mapping[str, _Menu] = {
    "TTS": _Menu("语音合成", "语音合成", "语音合成(TTS)"),
    "ASR": _Menu("语音识别", "语音识别", "语音识别(ASR)"),
    "Memory": _Menu("记忆模块", "记忆", "记忆模式(Mem)"),
}

_NO_ID = re.compile("[^A-Za-z0-9_-]")
_TOOLS = {"recall": "翻查", "note": "记住", "correct": "改正", "forget": "忘掉", "off_record": "不记"}


def steps(host: Host | None, role: Role, url: str, doors: Iterable[Door], model: str = "") -> list[str]:
    """Return the lines to print: what to do in the console for each door, with JSON to copy.

    `host` is None when it was not looked at (Docker); `url` is the GPT-SoVITS server as the host reaches it, `model`
    the recognizer's.
    """
    version = f"（{host.version}）" if host else ""
    lines = [
        tr(
            "小智服务端{version}用的是智控台的设置，下面的事要在智控台的网页上用管理员账号做。",
            version=version,
        ),
        tr("菜单里的“参数字典”在页面顶上，点开后有“字段管理”“参数管理”“服务端管理”。"),
    ]
    number = 0
    for door in doors:
        if door.kind in _MENUS:
            number += 1
            lines += [
                "",
                tr("第 {number} 步：{title}", number=number, title=tr(door.title)),
                *_door_steps(door, role, url, model),
            ]
        elif door == TOOLS:
            number += 1
            lines += ["", tr("第 {number} 步：记忆的工具", number=number), *_tool_steps()]
        elif door == ROLE:
            number += 1
            lines += ["", tr("第 {number} 步：本地意图和换角色", number=number), *_intent_steps()]
    for title, inner in (
        (tr("提示词模板"), _template_steps()),
        (tr("智能体的角色介绍"), _prompt_steps(role)),
        (tr("重启"), _restart_steps()),
    ):
        number += 1
        lines += ["", tr("第 {number} 步：{title}", number=number, title=title), *inner]
    return lines


def fields_json(door: Door) -> str:
    """Return the fields of a door as the table ai_model_provider holds them in its column `fields`."""
    fields = [{"key": key, "type": "string", "label": label} for key, label in door.fields.items()]
    return json.dumps(fields, ensure_ascii=False)


def model_json(door: Door, role: Role, url: str, model: str) -> str:
    """Return the settings of a model entry as the table ai_model_config holds them in its column `config_json`."""
    return json.dumps({"type": door.type, **_given(door, role, url, model)}, ensure_ascii=False)


def _door_steps(door: Door, role: Role, url: str, model: str) -> Iterator[str]:
    menu, fields = _MENUS[door.kind], door.fields
    if door.server:
        yield tr("  （你的 GPT-SoVITS 是 {value}时才做这一步。）", value=door.server)
    yield tr("  a. 参数字典 → 字段管理 → 新增：")
    yield tr(
        "     类别 {category}，编码 {type}，名称 {title}",
        category=menu.category,
        type=door.type,
        title=tr(door.title),
    )
    if fields:
        yield tr("     字段配置里逐行点“添加”，填 字段key、字段标签，类型都选 字符串，再点这一行的“完成”：")
        yield from (f"       {key}  {label}" for key, label in fields.items())
        yield tr(
            "     同样的内容写成 JSON（ai_model_provider 表的 fields 一列，会用数据库或接口的人可以直接用）："
        )
        yield f"       {fields_json(door)}"
    yield tr("  b. 模型配置 → {models} → 新增：", models=menu.models)
    name = role.name if door.kind == "TTS" else tr(door.title)
    yield tr(
        "     模型ID {model_id}，模型名称 {name}，模型编码 Persona，供应器 {title}",
        model_id=_model_id(door, role),
        name=name,
        title=tr(door.title),
    )
    if fields:
        given = "，".join(
            tr("“{value}”填 {value2}", value=fields[key], value2=value)
            for key, value in _given(door, role, url, model).items()
        )
        yield tr("     调用信息里{given}，别的留空。", given=given)
        yield tr("     同样的内容写成 JSON（ai_model_config 表的 config_json 一列）：")
        yield f"       {model_json(door, role, url, model)}"
    for model_kind in door.same_keys.values():
        yield tr(
            "     已经有能用的 {model_kind} 模型时不必新增：点它的“修改”，供应器换成上面的，{then}。",
            model_kind=model_kind,
            then=tr("再填 角色") if "role" in fields else tr("别的不用动"),
        )
    if door.kind == "TTS":
        yield tr("     要几个角色，就新增几个模型，各用各的模型ID 和 角色。")
        yield tr("  c. 在刚才那一行点“音色管理” → 新增：")
        yield tr(
            "     音色编码 {id}，音色名称 {name}，语言类型 中文（要它用什么语言回答，就写什么）",
            id=role.id,
            name=role.name,
        )
    yield tr("  {value}. 智能体管理 → 智能体的“配置角色”：", value="d" if door.kind == "TTS" else "c")
    voice = tr("，对话语言和声音音色 选上一步的") if door.kind == "TTS" else ""
    yield tr("     {choice} 选 {name}{voice}，最后点“保存配置”。", choice=menu.choice, name=name, voice=voice)


def _tool_steps() -> Iterator[str]:
    yield tr("  （没有这一步，记忆也能用；有了它，对话模型能自己翻查、改正、忘掉。）")
    yield tr(
        "  a. 参数字典 → 字段管理 → 新增，做 {count} 次，类别都选 插件工具，字段配置都空着：",
        count=len(TOOL_NAMES),
    )
    for tool, name in TOOL_NAMES.items():
        yield tr("     编码 {name}，名称 记忆：{value}", name=name, value=_TOOLS[tool])
    yield tr("  b. 智能体管理 → 智能体的“配置角色”：意图识别(Intent) 选函数调用的那种，点“编辑功能”，")
    yield tr("     把上面几个都选到“已选功能”，点“保存配置”；回到“配置角色”，再点一次“保存配置”。")


def _intent_steps() -> Iterator[str]:
    yield tr("  （选了这个工具的智能体，音量、退出、闹钟、换角色这些话不问对话模型，马上就办；不选就没有。）")
    yield tr("  a. 参数字典 → 字段管理 → 新增，类别选 插件工具，字段配置空着：")
    yield tr("     编码 {name}，名称 本地意图和换角色", name=ROLE_TOOL)
    yield tr("  b. 智能体管理 → 智能体的“配置角色”：意图识别(Intent) 选函数调用的那种，点“编辑功能”，")
    yield tr("     把它选到“已选功能”，点“保存配置”；回到“配置角色”，再点一次“保存配置”。")


def _template_steps() -> Iterator[str]:
    yield tr("  参数字典 → 参数管理 → 新增：")
    yield tr(
        "     参数编码 prompt_template，参数值 {PROMPT_FILE}，值类型 字符串(string)", PROMPT_FILE=PROMPT_FILE
    )


def _prompt_steps(role: Role) -> Iterator[str]:
    prompt = role.character_prompt().strip()
    yield tr("  智能体管理 → 智能体的“配置角色”，把两条横线之间的文字粘贴到“角色介绍”，再点“保存配置”：")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        over = len(prompt) - MAX_PROMPT_CHARACTERS
        yield tr(
            "  （页面只收 {MAX_PROMPT_CHARACTERS} 字，它多了 {over} 字，粘贴后会被截断，请先删短。）",
            MAX_PROMPT_CHARACTERS=MAX_PROMPT_CHARACTERS,
            over=over,
        )
    yield "-" * 40
    yield prompt
    yield "-" * 40
    yield tr("  感情标签不用写进去，语音会自己教给对话模型。")


def _restart_steps() -> Iterator[str]:
    yield tr("  参数字典 → 服务端管理 → 重启（或在它的机器上重新启动小智服务端），然后让设备重新连接。")


def _given(door: Door, role: Role, url: str, model: str) -> dict[str, str]:
    """Return the values for the door's fields that are known here."""
    values = {
        "url": url if door.url.endswith("/tts") else url.removesuffix("/tts"),
        "role": role.id,
        "model_dir": model,
        "output_dir": "tmp/",
    }
    return {key: value for key, value in values.items() if value and key in door.fields}


def _model_id(door: Door, role: Role) -> str:
    """Return an id that the console takes: at most 32 of letters, digits, _ and -, not letters only."""
    name = _NO_ID.sub("", role.id) if door.kind == "TTS" else ""
    return f"{door.type}_{name}"[:32].rstrip("_")
