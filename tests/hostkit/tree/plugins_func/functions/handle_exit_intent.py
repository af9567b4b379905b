from plugins_func.register import Action, ActionResponse, ToolType, register_function

_DESCRIPTION = {
    "type": "function",
    "function": {
        "name": "handle_exit_intent",
        "description": "the user wants to end the conversation",
        "parameters": {
            "type": "object",
            "properties": {"say_goodbye": {"type": "string", "description": "words of farewell"}},
            "required": ["say_goodbye"],
        },
    },
}


@register_function("handle_exit_intent", _DESCRIPTION, ToolType.SYSTEM_CTL)
def handle_exit_intent(conn, say_goodbye=None):
    conn.close_after_chat = True
    return ActionResponse(Action.RESPONSE, result="done", response=say_goodbye or "再见")
