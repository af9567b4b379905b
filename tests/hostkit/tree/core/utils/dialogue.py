"""What was said on a connection, and the list that goes to the model."""

import re
import uuid
from datetime import datetime


class Message:
    def __init__(
        self, role, content=None, uniq_id=None, tool_calls=None, tool_call_id=None, is_temporary=False
    ):
        self.uniq_id = uniq_id or str(uuid.uuid4())
        self.role, self.content = role, content
        self.tool_calls, self.tool_call_id = tool_calls, tool_call_id
        self.is_temporary = is_temporary


class Dialogue:
    def __init__(self):
        self.dialogue = []
        self.current_time = datetime.now().strftime("%Y-%m-%d %H:%M:%S")

    def put(self, message):
        self.dialogue.append(message)

    def getMessages(self, m, dialogue):
        entry = {"role": m.role}
        if m.tool_calls is not None:
            entry["tool_calls"] = m.tool_calls
        else:
            if m.role == "tool":
                entry["tool_call_id"] = m.tool_call_id or str(uuid.uuid4())
            entry["content"] = m.content
        dialogue.append(entry)

    def get_llm_dialogue(self):
        return self.get_llm_dialogue_with_memory()

    def update_system_message(self, new_content):
        for message in self.dialogue:
            if message.role == "system":
                message.content = new_content
                return
        self.put(Message("system", new_content))

    def get_llm_dialogue_with_memory(self, memory_str=None, voiceprint_config=None, current_speaker=None):
        entries = []
        system = next((m for m in self.dialogue if m.role == "system"), None)
        if system is not None:
            prompt = system.content.replace("{{current_time}}", datetime.now().strftime("%H:%M"))
            if memory_str is not None:
                # As the host does it: what the memory says is taken as a template.
                block = f"<memory>\n{memory_str}\n</memory>"
                prompt = re.sub(r"<memory>.*?</memory>", block, prompt, flags=re.DOTALL)
            entries.append({"role": "system", "content": prompt})
        said = [m for m in self.dialogue if m.role != "system"]
        for message in self._ensure_tool_calls_complete([m for m in said if m.is_temporary]):
            self.getMessages(message, entries)
        for message in self._ensure_tool_calls_complete([m for m in said if not m.is_temporary]):
            self.getMessages(message, entries)
        return entries

    def _ensure_tool_calls_complete(self, messages):
        asked = [call["id"] for m in messages if m.role == "assistant" for call in m.tool_calls or ()]
        answered = {m.tool_call_id for m in messages if m.role == "tool"}
        return messages + [
            Message("tool", '{"status": "interrupted"}', tool_call_id=call)
            for call in asked
            if call and call not in answered
        ]
