"""The host's side of the scripted model (tests/hostkit/llm.py)."""

import http.client
import json
from types import SimpleNamespace

from core.providers.llm.base import LLMProviderBase


class LLMProvider(LLMProviderBase):
    def __init__(self, config):
        self._port = int(config["port"])

    def response(self, session_id, dialogue, **kwargs):
        return (text for text, _ in self._ask(session_id, dialogue, None) if text is not None)

    def response_with_functions(self, session_id, dialogue, functions=None, **kwargs):
        return self._ask(session_id, dialogue, functions)

    def _ask(self, session_id, dialogue, functions):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        body = {"session_id": session_id, "dialogue": dialogue, "functions": functions}
        connection.request("POST", "/chat", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        first = json.loads(response.readline())
        if "fail" in first:
            connection.close()
            raise RuntimeError(first["fail"])
        return self._read(connection, response)

    def _read(self, connection, response):
        try:
            while line := response.readline():
                said = json.loads(line)
                if "fail" in said:
                    raise RuntimeError(said["fail"])
                if "text" in said:
                    yield said["text"], None
                else:
                    tool = said["tool"]
                    function = SimpleNamespace(name=tool["name"], arguments=tool["arguments"])
                    yield None, [SimpleNamespace(index=tool["index"], id=tool["id"], function=function)]
        finally:
            connection.close()
