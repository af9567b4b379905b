"""The settings of tools that others lend: the owner's own MCP servers, and the model that looks at their pictures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from xiaozhi_persona.language import tr
from xiaozhi_persona.settings_section import Section


class VisionSettings(Section):
    """看图的模型（OpenAI 兼容接口），设备的相机和工具给的图片由它来看"""

    base_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="接口地址，可以和 llm.base_url 是同一个；留空为没有，设备的拍照不给对话模型用",
    )
    api_key: str = Field("", description="密钥，可写成 ${环境变量}")
    model: str = Field("", description="能看图的模型名，如 qwen-vl-plus、glm-4v-flash")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="随请求发出的其他参数")
    timeout_s: float = Field(20.0, ge=2.0, le=28.0, description="看一张图的时限；设备的拍照最多等 30 秒")


class McpServerSettings(Section):
    """One MCP server: a command that is started, or an address. As in other programs' mcpServers."""

    command: str = Field("", description="要运行的命令，如 npx、uvx、python3")
    args: list[str] = Field([], description="命令的参数")
    env: dict[str, str] = Field({}, description="命令的环境变量")
    url: str = Field("", pattern=r"^(https?://\S+)?$", description="服务器的地址，http:// 或 https:// 开头")
    headers: dict[str, str] = Field({}, description="随请求发出的头，如 {Authorization: Bearer 密钥}")
    transport: Literal["auto", "sse", "streamable-http"] = Field(
        "auto", description="怎样连 url：sse 或 streamable-http；auto 为先看地址，连不上再换另一种"
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> McpServerSettings:
        if bool(self.command) == bool(self.url):
            raise ValueError(tr("command 和 url 要写一个，只能写一个"))
        return self


class McpSettings(Section):
    """你自己的 MCP 服务器：它们的工具给对话模型用，如 Home Assistant"""

    servers: dict[str, McpServerSettings] = Field(
        {},
        description="每个服务器的名字和写法，如 {home: {url: 'http://192.168.1.5:8123/api/mcp', headers: {Authorization: 'Bearer 密钥'}}, files: {command: npx, args: ['-y', '@modelcontextprotocol/server-filesystem', '/home/me']}}；数据文件夹里的 .mcp_server_settings.json（小智服务端的写法）也会读",
    )
    timeout_s: float = Field(30.0, ge=1.0, le=120.0, description="连接一个服务器、一次调用的时限")
