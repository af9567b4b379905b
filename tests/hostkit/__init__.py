"""The host under test: our stand-in of xiaozhi-esp32-server, or the real one. See README.md beside this file."""

from hostkit.device import Device, Reply
from hostkit.device_tools import DeviceTools, Speaker
from hostkit.host import VERSIONS, HostUnderTest, host
from hostkit.llm import Fail, Llm, Request, ToolCall

__all__ = [
    "VERSIONS",
    "Device",
    "DeviceTools",
    "Fail",
    "HostUnderTest",
    "Llm",
    "Reply",
    "Request",
    "Speaker",
    "ToolCall",
    "host",
]
