"""Slots of nearly any words, each with what it takes to be meant: a song, what to look at, what to be reminded of."""

from __future__ import annotations

from xiaozhi_persona.providers.intent.plain import plain
from xiaozhi_persona.providers.intent.slots import of_any


def _words(text: str) -> tuple[str, ...]:
    return tuple(plain(word).text for word in text.split())


_QUESTION = _words("吗 什么 怎么 谁 哪 为何 为什么 多少 几 是不是 有没有 好不好听 意思 办法 どう 何 誰 what how why who")
_JOINED = _words("然后 并且 顺便 同时 接着 顺手 顺带 再把 再调 再帮 还有 以及 and then それから そして")
"""Two things at once are no song: such a sentence goes to the chat model."""
_NO_SONG = _words("诗 词 故事 笑话 谜语 新闻 段子 相声 评书 绕口令 电影 视频 节目 游戏 文章 作文 课 天气 story joke poem news video movie game")
_OF_MUSIC = _words("的歌 的歌曲 的音乐 的曲子 音乐 歌曲 儿歌 情歌 老歌 民谣 摇滚 爵士 爵士乐 古典乐 轻音乐 钢琴曲 纯音乐 摇篮曲 粤语歌 英文歌 新歌 流行歌 music songs jazz songs lullaby の曲 の歌 の音楽 ジャズ クラシック")
_HERE = _words("这 那是 我手 我前面 我面前 我身后 我后面 我穿 我的脸 我今天穿 前面 面前 眼前 旁边 后面 桌上 桌子上 外面 窗外 周围 手里 手上 thisis whatthis これ 目の前")
_ASKED = _words("什么 啥 谁 几 多少 哪 怎么样 好看 好不好 有没有 吗 写了 写的 颜色 何 誰 what")
_NOT_SEEN = _words("道理 话 意思 人生 问题 事 情况 想法 意见 主意 方案 天气 歌 小说 电影 故事")
_NO_LABEL = _words("吗 什么 怎么 谁 哪 为什么 是不是 有没有 还是 来得及")


def _is_song(text: str) -> bool:
    return bool(text) and not any(word in text for word in (*_QUESTION, *_CHINESE_JOINED)) and not (
        text.endswith(_NO_SONG) or text.startswith(_NO_SONG)
    )


_CHINESE_JOINED = tuple(word for word in _JOINED if not word.isascii())


def _is_of_music(text: str) -> bool:
    return _is_song(text) and text.endswith(_OF_MUSIC)


def _is_seen(text: str) -> bool:
    return (
        text.startswith(_HERE)
        and any(word in text for word in _ASKED)
        and not any(word in text for word in (*_NOT_SEEN, *_CHINESE_JOINED))
    )


def _is_label(text: str) -> bool:
    return bool(text) and not any(word in text for word in (*_NO_LABEL, *_CHINESE_JOINED))


KINDS = (
    of_any("song", 24, _is_song),
    of_any("music", 24, _is_of_music),
    of_any("seen", 14, _is_seen),
    of_any("label", 40, _is_label),
)
