"""What chat() puts into a TTS provider's text queue."""

import enum


class SentenceType(enum.Enum):
    FIRST = "FIRST"
    MIDDLE = "MIDDLE"
    LAST = "LAST"


class ContentType(enum.Enum):
    TEXT = "TEXT"
    FILE = "FILE"
    ACTION = "ACTION"


class InterfaceType(enum.Enum):
    DUAL_STREAM = "DUAL_STREAM"
    SINGLE_STREAM = "SINGLE_STREAM"
    NON_STREAM = "NON_STREAM"


class TTSMessageDTO:
    def __init__(self, sentence_id, sentence_type, content_type, content_detail=None, content_file=None):
        self.sentence_id, self.sentence_type, self.content_type = sentence_id, sentence_type, content_type
        self.content_detail, self.content_file = content_detail, content_file
