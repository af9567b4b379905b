"""Where function plugins enter themselves."""

import enum

from core.hostkit_version import VERSION


class ToolType(enum.Enum):
    NONE = (1, "nothing follows")
    WAIT = (2, "wait for the result")
    CHANGE_SYS_PROMPT = (3, "changes the system message, gets conn")
    SYSTEM_CTL = (4, "controls the system, gets conn")
    IOT_CTL = (5, "controls devices, gets conn")
    MCP_CLIENT = (6, "MCP")

    def __init__(self, code, message):
        self.code, self.message = code, message


_ACTIONS = {
    "ERROR": (-1, "error"),
    "NOTFOUND": (0, "no such function"),
    "NONE": (1, "nothing"),
    "RESPONSE": (2, "say the response"),
    "REQLLM": (3, "ask the model again"),
    "RECORD": (4, "write down, do not ask"),
}
if VERSION < (0, 9, 4):
    del _ACTIONS["RECORD"]


class _Action(enum.Enum):
    def __init__(self, code, message):
        self.code, self.message = code, message


Action = _Action("Action", _ACTIONS, module=__name__)


class ActionResponse:
    def __init__(self, action, result=None, response=None):
        self.action, self.result, self.response = action, result, response


class FunctionItem:
    def __init__(self, name, description, func, type):
        self.name, self.description, self.func, self.type = name, description, func, type


all_function_registry = {}
module_func_map = {}


def register_function(name, desc, type=None):
    def enter(func):
        all_function_registry[name] = FunctionItem(name, desc, func, type)
        module_func_map.setdefault(func.__module__.rpartition(".")[2], []).append(name)
        return func

    return enter


def register_device_function(name, desc, type=None):
    return lambda func: func
