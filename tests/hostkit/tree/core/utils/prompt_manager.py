"""The system message: the template with the user's prompt in it."""

import os
import re
from datetime import datetime

from config.logger import setup_logging

_WEEKDAYS = "星期一 星期二 星期三 星期四 星期五 星期六 星期日".split()
_EMOJI = list("😶🙂😆😂😔😠😭😍😳😲😱🤔😉😎😌🤤😘😏😴😜🙄")


class PromptManager:
    def __init__(self, config, logger=None):
        self.config = config
        self.logger = logger or setup_logging()
        self.base_prompt_template = None
        path = config.get("prompt_template") or "agent-base-prompt.txt"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.base_prompt_template = file.read()

    def get_quick_prompt(self, user_prompt, device_id=None):
        return user_prompt

    def update_context_info(self, conn, client_ip):
        pass

    def build_enhanced_prompt(self, user_prompt, device_id, client_ip=None, *args, **kwargs):
        if not self.base_prompt_template:
            return user_prompt
        now = datetime.now()
        section = self.config["TTS"].get(self.config["selected_module"]["TTS"], {})
        values = {
            "base_prompt": user_prompt,
            "current_time": "{{current_time}}",
            "today_date": now.strftime("%Y-%m-%d"),
            "today_weekday": _WEEKDAYS[now.weekday()],
            "lunar_date": "十月初一\n",
            "local_address": "",
            "weather_info": "",
            "emojiList": _EMOJI,
            "device_id": device_id,
            "client_ip": client_ip,
            "dynamic_context": "",
            "language": section.get("language") or "中文",
            **kwargs,
        }
        try:
            return _render(self.base_prompt_template, values)
        except Exception as exc:
            self.logger.bind(tag=__name__).error(f"template: {exc}")
            return user_prompt


def _render(template, values):
    """Jinja2 where there is one; without it, variables only."""
    try:
        from jinja2 import Template
    except ImportError:
        if "{%" in template:
            raise
        return re.sub(r"{{\s*(\w+)\s*}}", lambda m: str(values.get(m[1], "")), template)
    return Template(template).render(**values)
