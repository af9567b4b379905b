"""One form for each character: full width to half width, upper case to lower, traditional to simplified.

The folding keeps the length of a text, so a place in the folded text is the same place in the text.
"""

from __future__ import annotations


def fold(text: str) -> str:
    """Return the text with every character in the form in which the grammar knows it; same length."""
    return text.translate(_TABLE)


def fold_expression(expression: str) -> str:
    """Return a regular expression for folded text; what is ASCII is left, since there it can be syntax."""
    return "".join(char if char.isascii() else fold(char) for char in expression)


# Pairs of a traditional (or Japanese) character and its simplified form: those of time words, of the words beside them,
# and of what is said to a device.
_TRADITIONAL = """
個个 這这 號号 點点 禮礼 時时 間间 後后 來来 兩两 幾几 國国 慶庆 節节 聖圣 誕诞 陽阳 雙双 親亲 歲岁 級级 鐘钟 鍾钟 從从
還还 離离 臘腊 處处 驚惊 蟄蛰 穀谷 種种 滿满 陰阴 曆历 歷历 農农 舊旧 尋寻 噚寻 頭头 裡里 裏里 剛刚 現现 過过 內内 聽听 電电
遊游 戲戏 書书 說说 説说 嗎吗 為为 爲为 麼么 開开 題题 樂乐 歡欢 晩晚 毎每 門门 飯饭 調调 當当 請请 問问 氣气 場场 總总 習习
慣惯 應应 該该 準准 備备 長长 劇剧 動动 畫画 們们 買买 讀读 學学 業业 對对 誰谁 連连 邊边 歸归 聯联 樣样 員员 無无 單单 發发
會会 東东 夢梦 憶忆 錢钱 紀纪 齡龄 輕轻 轉转 傑杰 馳驰 潤润 興兴 實实 豐丰 產产 婦妇 兒儿 養养 師师 萬万 勞劳 軍军 黨党 樹树
愛爱 謝谢 龍龙 馬马 麥麦 黃黄 齊齐 經经 給给 幹干 嘛嘛 喫吃 買买 賣卖 寫写 談谈 話话 見见 聞闻 訴诉 記记 許许 諾诺 約约 電电
聲声 靜静 關关 閉闭 螢荧 換换 設设 鬧闹 計计 繼继 續续 復复 複复 語语 錄录 確确 別别 認认 識识 顯显 標标 選选 優优 麗丽 鈴铃 減减 務务 線线 網网 機机 車车 層层 碼码 鎖锁 鑰钥 貓猫 魚鱼 圖图 廳厅 燈灯 臺台 幫帮 緊紧 亂乱 讓让 試试 訊讯 訂订
響响 變变 煩烦 託托 辦办 數数 檔档 結结 終终 斷断 隨随 專专 輯辑 寶宝 喚唤 視视 頻频 導导 薦荐 隻只 溫温 強强 夠够 滅灭 啟启 啓启 進进 餘余 態态 況况 醫医 藥药 壓压 擇择 擴扩 縮缩 閃闪 頁页 項项 預预 額额 顏颜 類类 囉啰 嘍喽 喲哟 著着 妳你
甚什 麽么 揚扬 慮虑 擾扰 嘗尝 側侧 屬属 證证 區区 廣广 筆笔 紅红 綠绿 藍蓝 純纯 鋼钢 輸输 環环 樓楼 飛飞 鳥鸟 葉叶 雲云 風风 鄧邓 劉刘 張张 陳陈 楊杨 趙赵 吳吴 孫孙 鄭郑 蔣蒋 倫伦 華华 穩稳 瑪玛 絕绝 漸渐 輛辆 鏡镜 鍵键 錯错 鐵铁 閱阅 陸陆
隊队 際际 險险 韓韩 頓顿 顆颗 飲饮 驗验 鬥斗 鮮鲜 齒齿 龜龟
講讲 帶带 貴贵 質质 費费 賽赛 貨货 負负 財财 購购 權权 殺杀 決决 沒没 涼凉 淚泪 淺浅 湯汤 滾滚 瀏浏 災灾 熱热 燒烧 爺爷 牆墙 獨独 獎奖 瘋疯 盡尽 監监 盤盘 眾众 祕秘 稱称 積积 窩窝 競竞 範范 簡简 簽签 籃篮 糧粮 組组 細细 紙纸 編编 緩缓 練练
績绩 織织 繪绘 罷罢 羅罗 義义 職职 聰聪 腦脑 膚肤 臉脸 舉举 藝艺 蘋苹 蟲虫 術术 衛卫 裝装 補补 製制 規规 觀观 觸触 訪访 評评 詞词 詢询 詩诗 詳详 誠诚 論论 諒谅 謎谜 譯译 議议 護护 貼贴 賀贺 資资 趕赶 跡迹 軟软 較较 載载 輪轮 運运 達达 違违
遙遥 遠远 適适 遲迟 遺遗 鄉乡 醬酱 釋释 針针 鈕钮 銀银 鎮镇 閒闲 階阶 雖虽 難难 靈灵 韻韵 順顺 須须 頂顶 飽饱 餓饿 館馆 駕驾 騎骑 體体 髮发 鬆松 鳴鸣 鴨鸭 搖摇 嚇吓 團团 圍围 塊块 壞坏 夾夹 奪夺 媽妈 寧宁 審审 帥帅 庫库 廚厨 彈弹 悶闷 惡恶
憂忧 戀恋 戰战 掃扫 掛挂 採采 損损 撥拨 撿捡 擊击 擋挡 擔担 擠挤 擺摆 攝摄 攔拦 敗败 暫暂 曬晒 條条 極极 構构 槍枪 榮荣 櫃柜 歐欧 測测 漲涨 潔洁 濃浓 爛烂 爭争 狀状 獲获 畢毕 異异 療疗 礙碍 禍祸 稅税 糾纠 紋纹 納纳 統统 絲丝 維维 緣缘 縣县
繞绕 罰罚 膠胶 臨临 莊庄 蓮莲 蘭兰 蝦虾 衝冲 訓训 診诊 誌志 謊谎 譜谱 豬猪 賞赏 賠赔 贏赢 鄰邻 鋪铺 鑽钻 隱隐 雜杂 霧雾 飾饰 騙骗 喬乔 衆众 併并 佈布 傷伤 傳传 價价 儲储 償偿 凍冻 劃划 劑剂 勝胜 勢势 匯汇 協协 卻却 廠厂 參参 嘆叹
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
