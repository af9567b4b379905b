from abc import ABC, abstractmethod


class LLMProviderBase(ABC):
    @abstractmethod
    def response(self, session_id, dialogue):
        """Yield pieces of text."""

    def response_no_stream(self, system_prompt, user_prompt, **kwargs):
        asked = [{"role": "system", "content": system_prompt}, {"role": "user", "content": user_prompt}]
        return "".join(self.response("", asked, **kwargs))

    def response_with_functions(self, session_id, dialogue, functions=None):
        for text in self.response(session_id, dialogue):
            yield text, None
