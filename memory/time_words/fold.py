"""One form for each character: full width to half width, upper case to lower, traditional to simplified.

The folding keeps the length of a text, so a place in the folded text is the same place in the text.
"""

from __future__ import annotations


def fold(text: str) -> str:
    """Return the text with every character in the form in which the grammar knows it; same length."""
    return text.translate(_TABLE)


# Pairs of a traditional (or Japanese) character and its simplified form: those of time words and of the words beside them.
_TRADITIONAL = """
個个 這这 號号 點点 禮礼 時时 間间 後后 來来 兩两 幾几 國国 慶庆 節节 聖圣 誕诞 陽阳 雙双 親亲 歲岁 級级 鐘钟 鍾钟 從从
還还 離离 臘腊 處处 驚惊 蟄蛰 穀谷 種种 滿满 陰阴 曆历 歷历 農农 舊旧 尋寻 噚寻 頭头 裡里 裏里 剛刚 現现 過过 內内 聽听 電电
遊游 戲戏 書书 說说 説说 嗎吗 為为 爲为 麼么 開开 題题 樂乐 歡欢 晩晚 毎每 門门 飯饭 調调 當当 請请 問问 氣气 場场 總总 習习
慣惯 應应 該该 準准 備备 長长 劇剧 動动 畫画 們们 買买 讀读 學学 業业 對对 誰谁 連连 邊边 歸归 聯联 樣样 員员 無无 單单 發发
會会 東东 夢梦 憶忆 錢钱 紀纪 齡龄 輕轻 轉转 傑杰 馳驰 潤润 興兴 實实 豐丰 產产 婦妇 兒儿 養养 師师 萬万 勞劳 軍军 黨党 樹树
愛爱 謝谢 龍龙 馬马 麥麦 黃黄 齊齐 經经 給给 幹干 嘛嘛 喫吃 買买 賣卖 寫写 談谈 話话 見见 聞闻 訴诉 記记 許许 諾诺 約约 電电
""".split()

_TABLE: dict[int, str] = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **{code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)},
    **{code: chr(code - 0xFEE0 + 32) for code in range(0xFF21, 0xFF3B)},
    **{ord(pair[0]): pair[1] for pair in _TRADITIONAL},
    **{ord(char): " " for char in "\u3000\u00a0\t\r\n"},
    **{ord(char): "-" for char in "‐‑‒–—―−─"},
    **{ord(char): "~" for char in "〜～∼"},
    **{ord(char): "'" for char in "‘’"},
    **{ord(char): '"' for char in "“”＂"},
    **{ord(char): "〇" for char in "○◯"},
}
