"""A log with loguru's manners as far as the host's modules use them: bind(tag=...), levels, no arguments needed."""

import os
import threading
import time

SERVER_VERSION = "0.9.6"

_lock = threading.Lock()


class Logger:
    def __init__(self, **extra):
        self._extra = extra

    def bind(self, **extra):
        return Logger(**{**self._extra, **extra})

    def opt(self, **_):
        return self

    def _write(self, level, message, *args, **kwargs):
        text = str(message)
        if args or kwargs:
            text = text.format(*args, **kwargs)
        line = f"{time.time():.3f} [{self._extra.get('tag', '')}] {level} {text}\n"
        with _lock:
            os.makedirs("tmp", exist_ok=True)
            with open("tmp/server.log", "a", encoding="utf-8") as file:
                file.write(line)


def _level(name):
    def write(self, message, *args, **kwargs):
        self._write(name, message, *args, **kwargs)

    return write


for _name in ("trace", "debug", "info", "success", "warning", "error", "critical", "exception"):
    setattr(Logger, _name, _level(_name.upper()))

_logger = Logger()


def setup_logging(config=None):
    return _logger


def create_connection_logger(selected_module_str):
    return _logger.bind(selected_module=selected_module_str)
