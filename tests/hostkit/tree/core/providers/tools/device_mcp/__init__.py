"""The tools that a device brings: asked for after its hello, called one message each way."""

import asyncio
import json

from core.utils.util import sanitize_tool_name

_INITIALIZE, _LIST = 1, 2
_LIST_AFTER_S = 1.0
_CALL_S = 30


class MCPClient:
    def __init__(self):
        self.tools = {}
        self.name_mapping = {}
        self.ready = False
        self.call_results = {}
        self.next_id = 1

    async def is_ready(self):
        return self.ready


async def send_mcp_message(conn, payload):
    try:
        await conn.websocket.send(json.dumps({"type": "mcp", "payload": {"jsonrpc": "2.0", **payload}}))
    except Exception as exc:
        conn.logger.bind(tag=__name__).error(f"MCP not sent: {exc}")


async def send_mcp_initialize_message(conn):
    parameters = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "hostkit"}}
    await send_mcp_message(conn, {"id": _INITIALIZE, "method": "initialize", "params": parameters})


async def handle_mcp_message(conn, client, payload):
    number = int(payload.get("id", 0))
    waiting = client.call_results.pop(number, None)
    if waiting is not None:
        if not waiting.done():
            waiting.set_result(payload)
    elif number == _INITIALIZE and "result" in payload:
        await asyncio.sleep(_LIST_AFTER_S)
        await send_mcp_message(conn, {"id": _LIST, "method": "tools/list"})
    elif number == _LIST and "tools" in payload.get("result", {}):
        for tool in payload["result"]["tools"]:
            name = sanitize_tool_name(tool["name"])
            client.tools[name], client.name_mapping[name] = tool, tool["name"]
        client.ready = True
        if conn.func_handler:
            conn.func_handler.tool_manager.refresh_tools()


async def call_mcp_tool(conn, client, name, arguments):
    """Return the text of the answer. Raises RuntimeError for a refusal."""
    number = client.next_id
    client.next_id += 1
    waiting = client.call_results[number] = asyncio.get_running_loop().create_future()
    call = {"name": client.name_mapping.get(name, name), "arguments": arguments}
    await send_mcp_message(conn, {"id": number, "method": "tools/call", "params": call})
    try:
        answer = await asyncio.wait_for(waiting, _CALL_S)
    except asyncio.TimeoutError:
        client.call_results.pop(number, None)
        raise TimeoutError("工具调用请求超时") from None
    if "error" in answer or answer["result"].get("isError"):
        raise RuntimeError(str(answer.get("error") or answer["result"]))
    content = answer["result"].get("content") or []
    return content[0]["text"] if content else str(answer["result"])
