"""Our log lines in the host's log."""

from __future__ import annotations

import logging

from config.logger import setup_logging

from xiaozhi_persona.language import translate_record

TAG = "xiaozhi-persona"


class _HostHandler(logging.Handler):
    """Passes what we log to the host's logger (loguru)."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = setup_logging().bind(tag=TAG)
            if record.exc_info:
                logger = logger.opt(exception=record.exc_info)
            write = getattr(logger, record.levelname.lower(), logger.info)
            write("{}", record.getMessage())
        except Exception:
            self.handleError(record)


def log_through_host() -> None:
    """Write our log lines through the host's logger from now on; a second call changes nothing."""
    ours = logging.getLogger("xiaozhi_persona")
    others = [handler for handler in ours.handlers if type(handler).__name__ != _HostHandler.__name__]
    handler = _HostHandler()
    handler.addFilter(translate_record)
    ours.handlers = [*others, handler]
    ours.setLevel(logging.DEBUG)  # the host's own level decides
    ours.propagate = False
