"""What the host strips from both ends of a segment, and the faces it knows."""

import json

# 21 faces: emoji to the name that the device gets.
EMOJI_MAP = dict(
    zip(
        "😂😭😠😔😍😲😱🤔😌😴😜🙄😶🙂😆😳😉😎🤤😘😏",
        "funny crying angry sad loving surprised shocked thinking relaxed sleepy silly confused neutral happy "
        "laughing embarrassed winking cool delicious kissy confident".split(),
        strict=True,
    )
)
_STRIPPED = frozenset('，,。.！!“”":：-－、[]【】')  # noqa: RUF001
_EMOJI = ((0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1FA70, 0x1FAFF), (0x2600, 0x27BF))


def is_emoji(char):
    return any(first <= ord(char) <= last for first, last in _EMOJI)


def is_punctuation_or_emoji(char):
    return char.isspace() or char in _STRIPPED or is_emoji(char)


def get_string_no_punctuation_or_emoji(s):
    kept = [at for at, char in enumerate(s) if not is_punctuation_or_emoji(char)]
    return s[kept[0] : kept[-1] + 1] if kept else ""


def check_emoji(text):
    return "".join(char for char in text if char != "\n" and not is_emoji(char))


async def get_emotion(conn, text):
    face = next((char for char in text if char in EMOJI_MAP), "🙂")
    message = {"type": "llm", "text": face, "emotion": EMOJI_MAP[face], "session_id": conn.session_id}
    try:
        await conn.websocket.send(json.dumps(message))
    except Exception as exc:
        conn.logger.bind(tag=__name__).warning(f"no face sent: {exc}")
