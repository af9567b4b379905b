"""Runs the plugins that the Intent section lists, and the device's tools."""

import asyncio
import json

from core.handle.sendAudioHandle import send_display_message
from core.hostkit_version import VERSION
from core.providers.tools.device_mcp import call_mcp_tool
from plugins_func.register import (
    Action,
    ActionResponse,
    FunctionItem,
    ToolType,
    all_function_registry,
    module_func_map,
)

_ALWAYS = ("handle_exit_intent", "get_lunar")
_WITH_CONN = (3, 4, 5)  # codes of ToolType


class ToolManager:
    def __init__(self, conn):
        self._conn = conn
        self._cached = None

    def get_all_tools(self):
        if self._cached is None:
            self._cached = {**self._plugins(), **self._of_device()}
        return self._cached

    def refresh_tools(self):
        self._cached = None

    def _of_device(self):
        client = getattr(self._conn, "mcp_client", None)
        return {} if client is None else {name: _of_device(name, tool) for name, tool in client.tools.items()}

    def _plugins(self):
        section = self._conn.config["Intent"][self._conn.config["selected_module"]["Intent"]]
        names = list(_ALWAYS)
        for name in section.get("functions") or []:
            names += module_func_map.get(name, [name]) if VERSION > (0, 9, 6) else [name]
        return {name: all_function_registry[name] for name in names if name in all_function_registry}

    def has_tool(self, name):
        return name in self.get_all_tools()

    async def execute_tool(self, tool_name, arguments):
        item = self.get_all_tools().get(tool_name)
        if item is None:
            return ActionResponse(Action.NOTFOUND, response=f"工具 {tool_name} 不存在")
        try:
            if item.func is None:
                answer = await call_mcp_tool(self._conn, self._conn.mcp_client, tool_name, arguments)
                return ActionResponse(Action.REQLLM, result=answer)
            first = [self._conn] if item.type.code in _WITH_CONN else []
            return await (_call_and_await if VERSION >= (0, 9, 6) else _call)(item.func, first, arguments)
        except Exception as exc:
            return ActionResponse(Action.ERROR, response=str(exc))


def _of_device(name, tool):
    schema = tool.get("inputSchema") or {"type": "object", "properties": {}}
    function = {"name": name, "description": tool.get("description", ""), "parameters": schema}
    return FunctionItem(name, {"type": "function", "function": function}, None, ToolType.MCP_CLIENT)


async def _call(function, first, arguments):
    return function(*first, **arguments)


async def _call_and_await(function, first, arguments):
    result = function(*first, **arguments)
    return await result if asyncio.iscoroutine(result) else result


class UnifiedToolHandler:
    def __init__(self, conn):
        self.conn, self.config, self.logger = conn, conn.config, conn.logger
        self.tool_manager = ToolManager(conn)
        self.finish_init = False

    async def _initialize(self):
        self.finish_init = True

    def get_functions(self):
        plugins = self.config.get("plugins", {})
        for name, item in self.tool_manager.get_all_tools().items():
            if text := plugins.get(name, {}).get("description"):
                item.description["function"]["description"] = text
        return [item.description for item in self.tool_manager.get_all_tools().values()]

    def current_support_functions(self):
        return list(self.tool_manager.get_all_tools())

    def upload_functions_desc(self):
        pass

    def has_tool(self, tool_name):
        return self.tool_manager.has_tool(tool_name)

    async def handle_llm_function_call(self, conn, function_call_data):
        arguments = function_call_data.get("arguments") or {}
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except json.JSONDecodeError:
                return ActionResponse(Action.ERROR, response="无法解析函数参数")
        if VERSION >= (0, 9, 3):
            await send_display_message(conn, f"% {function_call_data['name']}")
        return await self.tool_manager.execute_tool(function_call_data["name"], arguments)

    async def cleanup(self):
        pass
