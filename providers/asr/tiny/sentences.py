"""What the tiny recognizer knows, and what it must learn to leave alone.

A model of one megabyte cannot know Mandarin. It knows these sentences by heart, enough to show by
voice what a companion does, and it answers anything else with "no speech". The lists were written for this
project; a comma or space is spoken as a pause and is not part of the text that is recognized.
"""

from __future__ import annotations

import difflib

_HAPPY = "我今天很开心。太好了，我考上了。今天是我的生日。我喜欢你。"
_SAD = "我很难过。我的猫不见了。没有人陪我玩。"
_ANGRY = "我很生气。别烦我。"
_NEUTRAL = """
你好。你好，小智。早上好。晚上好。晚安。再见。谢谢你。不客气。好的。我叫小明。我叫小红。
我有一只猫，叫咪咪。我有一只狗，叫旺财。我对花生过敏。我住在上海。我搬到北京了。我喜欢吃苹果。
我不喜欢吃香菜。我喜欢画画。我的生日是五月一日。我今年八岁。昨天我去了动物园。今天中午我吃了面条。
上周我去了海边。我学会了游泳。明天我要考试。昨天我们聊了什么。我的猫叫什么名字。我对什么过敏。
我叫什么名字。你叫什么名字。上周我去了哪里。昨天我去了哪里。今天中午我吃了什么。我住在哪里。我喜欢吃什么。
我的生日是哪天。你还记得我吗。你会做什么。现在几点了。今天天气怎么样。声音大一点。声音小一点。说慢一点。
说快一点。换一个角色。记住这件事。忘掉这件事。这段不要记。停。别说了。给我讲个故事。再说一遍。唱一首歌。
打开客厅的灯。关掉客厅的灯。
"""

# Phrases that are none of the sentences, as people say them.
_OTHER_CHINESE = """
请帮我订一张火车票。这本书多少钱。我想喝一杯咖啡。地铁站在哪里。会议改到下午三点。他昨天没有来上班。
今天的新闻有什么。这个手机很贵。我们一起去看电影吧。请把窗户关上。外面下雨了。他的爸爸是医生。
我想学习英语。这条路怎么走。请问厕所在哪里。你吃饭了吗。我马上就到。周末你有空吗。给妈妈打电话。
明天早上七点叫我起床。播放音乐。下一首。帮我查一下快递。苹果多少钱一斤。我不知道。没关系。对不起。等一下。
走吧。知道了。真的吗。为什么。我觉得不错。他们在公园里跑步。老师说明天放假。弟弟在写作业。桌子上有一本书。
飞机几点起飞。冰箱里没有牛奶了。这个问题很难。春天的花开了。我家有四口人。请坐。加油。快点走。小心。
我饿了。我累了。太贵了。可以吗。长城有多长。一加一等于几。设一个十分钟的闹钟。空调调到二十六度。
昨晚睡得好吗。他姓王。你几岁了。我有一个姐姐。
"""
_OTHER_ENGLISH = """
Good morning everyone. What time is it. Please open the door. I would like a cup of tea.
The weather is nice today. Where is the station. Turn on the light. Tell me a story. Thank you very much.
See you tomorrow. I do not know. My name is John. She is reading a book. Stop. Hello. How are you.
We went to the zoo yesterday. Play some music. The train leaves at nine. Can you help me.
This is a test of the system. It is too expensive. One two three four five.
"""
# Never trained on: what train.py counts false answers with.
_UNSEEN = """
我的同事下个月结婚。请把菜单给我看看。这里可以停车吗。他的电话号码是多少。超市晚上十点关门。
我把雨伞忘在公交车上了。今年夏天特别热。你能说英语吗。帮我找一下眼镜。爷爷每天早上打太极拳。
这件衣服有没有大号。前面右转就到了。我们班有三十个同学。中秋节要吃月饼。音量调到最大。明天会下雪吗。
我想听相声。你真聪明。算了吧。不用了。快来看。我有一辆自行车。我对音乐很感兴趣。我住在三楼。
昨天我买了一双鞋。我叫王大伟。今天晚上我要加班。你喜欢什么颜色。讲个笑话。关上门。
"""
_UNSEEN_ENGLISH = """
I left my keys in the car. How much does this cost. The children are playing outside.
Please call me back later. It is raining again. Which way is the museum. He does not like coffee.
Happy birthday to you. Good night. Never mind.
"""
_WORDS = """
我 你 他 她 我们 他们 大家 老师 学生 医生 爸爸 妈妈 哥哥 妹妹 朋友 孩子 先生 小姐 司机 经理 去 来 看 听 吃
喝 买 卖 写 读 跑 飞 坐 站 睡觉 起床 工作 学习 帮助 认识 觉得 希望 需要 喜欢 知道 告诉 打算 准备 开始 结束
书 手机 电脑 桌子 椅子 汽车 火车 飞机 米饭 水果 蔬菜 牛奶 咖啡 衣服 鞋子 钱包 钥匙 雨伞 电影 音乐 比赛
会议 问题 答案 学校 公司 医院 商店 银行 机场 公园 图书馆 厨房 房间 城市 农村 北边 南方 山上 河里 广州 深圳
中国 美国 今天 明天 后天 早上 中午 下午 晚上 星期一 周末 去年 现在 刚才 以后 一月 十点 半小时 大 小 多 少
高 低 快 慢 新 旧 红色 蓝色 漂亮 便宜 贵 冷 热 忙 累 饿 高兴 安静 重要 简单 特别 一个 两本 三张 四辆 五条
六次 七块 八斤 九岁 十年 一百 一千 很 都 也 不 没有 已经 正在 可能 应该 因为 所以 但是 如果 什么 怎么
为什么 哪儿 谁 吗 呢 吧 了 的 在 把 被 跟 对 从 到 比
"""


def text_of(spoken: str) -> str:
    """The text that is recognized: what is spoken, without pauses and punctuation."""
    return "".join(letter for letter in spoken if letter not in "，。？！ ")


def nearest_sentence(text: str) -> str:
    """Return the sentence that was nearly or wholly recognized; "" for fragments, which other speech gives.

    On speech of unseen voices this raised the share of right sentences from 92.9 to 96.5 % (of 650), and lowered
    the share of other Chinese phrases that were answered from 13 to 3 % (of 90).
    """
    known = [text_of(spoken) for spoken, _ in SENTENCES]
    return next(iter(difflib.get_close_matches(text, known, n=1, cutoff=0.8)), "")


def _lines(block: str, end: str) -> list[str]:
    return [line.strip() for line in block.replace("\n", "").split(end) if line.strip()]


# (spoken form, emotion as SenseVoice names it)
SENTENCES: list[tuple[str, str]] = [
    (spoken, emotion)
    for emotion, block in (("NEUTRAL", _NEUTRAL), ("HAPPY", _HAPPY), ("SAD", _SAD), ("ANGRY", _ANGRY))
    for spoken in _lines(block, "。")
]
OTHER_CHINESE: list[str] = _lines(_OTHER_CHINESE, "。")
OTHER_ENGLISH: list[str] = _lines(_OTHER_ENGLISH.replace("\n", " "), ".")
UNSEEN_CHINESE: list[str] = _lines(_UNSEEN, "。")
UNSEEN_ENGLISH: list[str] = _lines(_UNSEEN_ENGLISH.replace("\n", " "), ".")
WORDS: list[str] = _WORDS.split()
