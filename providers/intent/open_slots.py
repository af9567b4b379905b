"""Slots of nearly any words, each with what it takes to be meant: a song, what to look at, what to be reminded of."""

from __future__ import annotations

from xiaozhi_persona.providers.intent.plain import Plain, plain
from xiaozhi_persona.providers.intent.slots import Kind, Lists, of_any


def _words(text: str) -> tuple[str, ...]:
    return tuple(plain(word).text for word in text.split())


_QUESTION = _words(
    "吗 什么 怎么 谁 哪 为何 为什么 多少 几 是不是 有没有 好不好听 意思 办法 どう 何 誰 なぜ 昨日 きのう"
)
_JOINED = _words(
    "然后 并且 顺便 同时 接着 顺手 顺带 再把 再调 再帮 还有 以及 それから そして andthen andturn andset andtake andplay andstop andtell"
)
"""Two things at once are no song: such a sentence goes to the chat model."""
_NO_SONG = _words(
    "诗 词 故事 笑话 谜语 新闻 段子 相声 评书 绕口令 电影 视频 节目 游戏 录音 录像 广播 文章 作文 课 天气 story joke poem news video movie game"
)
_OF_MUSIC = _words(
    "的歌 的歌曲 的音乐 的曲子 音乐 歌曲 儿歌 情歌 老歌 民谣 摇滚 爵士 爵士乐 古典乐 轻音乐 钢琴曲 纯音乐 摇篮曲 粤语歌 英文歌 新歌 流行歌 music songs jazz songs lullaby の曲 の歌 の音楽 ジャズ クラシック"
)
_HERE = _words(
    "这 那是 我手 我前面 我面前 我身后 我后面 我穿 我的脸 我今天穿 前面 面前 眼前 旁边 后面 桌上 桌子上 外面 窗外 周围 手里 手上 thisis whatthis これ 目の前"
)
_ASKED = _words("什么 啥 谁 几 多少 哪 怎么样 好看 好不好 有没有 吗 写了 写的 颜色 何 誰 what")
_NOT_SEEN = _words("道理 话 意思 人生 问题 事 情况 想法 意见 主意 方案 天气 歌 小说 电影 故事")
_NOT_AFTER = _words("用 了 过 没 办 说 时候 失败 就")
_NO_END = _words("的时候 失败了 了没 过 的")
_NO_LABEL = _words("吗 什么 怎么 谁 哪 为什么 是不是 有没有 还是 来得及")


def is_plain(text: str) -> bool:
    """Whether these are words, and not two things at once."""
    return bool(text) and not any(word in text for word in _JOINED)


def _is_song(text: str) -> bool:
    if any(word in text for word in _QUESTION):
        return False
    text = text.rstrip("吧啊呢呀哦啦")
    return is_plain(text) and not text.endswith((*_NO_SONG, *_NO_END)) and not text.startswith(_NO_SONG)


def _is_of_music(text: str) -> bool:
    return text.endswith(_OF_MUSIC) and _is_song(text)


def _is_seen(text: str) -> bool:
    if not text.startswith(_HERE) or any(word in text for word in _NOT_SEEN) or not is_plain(text):
        return False
    asked = max((text.rfind(word) + len(word) for word in _ASKED if word in text), default=0)
    rest = text[asked:]  # 这是什么颜色, and not 这是什么用英语怎么说
    return bool(asked) and len(rest) <= 4 and not any(word in rest for word in _NOT_AFTER)


def _is_label(text: str) -> bool:
    if not is_plain(text) or text.endswith(_NO_END) or any(word in text for word in _NO_LABEL):
        return False
    return text[0] not in ":0123456789"


def _read_title(said: Plain, start: int, end: int, _: Lists) -> str | None:
    """Return what stands in the marks of a title: 播放《稻香》."""
    before, after = said.places[start] - 1, said.places[end - 1] + 1
    is_marked = before >= 0 and said.said[before] in '《〈「『“"' and said.said[after : after + 1] in _CLOSING
    return said.words(start, end) if is_marked else None


def _read_excuse(said: Plain, start: int, end: int, _: Lists) -> str | None:
    """Return what is said before a goodbye, and set apart from it: 我去忙了，再见."""
    text = said.text[start:end]
    is_one = end in said.pauses and text.startswith(_EXCUSES) and text.endswith(("了", "吧", "啦"))
    return (
        text
        if is_one and not any(word in text for word in ("说", "问", "告诉", "昨天", "不会", "他", "她"))
        else None
    )


def _is_of_an_artist(text: str) -> bool:
    who, _, what = text.partition("的")
    if not (2 <= len(who) <= 6 and 1 <= len(what.rstrip("吧啊呢")) <= 10):
        return False
    return _is_song(text) and not any(word in text for word in (*_NO_SONG, *_NO_ARTIST))


_EXCUSES = ("我", "那我", "今天", "时间", "先", "不用", "没", "好", "行", "太晚", "就")
_NO_ARTIST = _words("刚才 昨天 上次 速度 列表 记录 我 你 他 她 最 声音 音量 里面")
_CLOSING = tuple('》〉」』”"')

KINDS = (
    Kind("title", _read_title, "《晴天》", 30, is_open=True),
    Kind("excuse", _read_excuse, "我走了，", 14, is_open=True),
    of_any("by_artist", _is_of_an_artist, "邓丽君的甜蜜蜜", 17),
    of_any("song", _is_song, "晴天", 24),
    of_any("music", _is_of_music, "轻音乐", 24),
    of_any("seen", _is_seen, "这是什么", 14),
    of_any("label", _is_label, "喝水", 40),
)
