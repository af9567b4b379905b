"""The memory at size: years of Chinese turns of one owner; questions, appends, opening; recall of the right turns.

Wall and CPU milliseconds, one thread, p50/p95. `--turns 1000000` for the largest size; it takes some minutes.
The year is made up by a generator with a fixed seed: talk of every day, and in it a few hundred things that were
said once, each with a question of other words for it.
"""

from __future__ import annotations

import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from figures import options, percentiles, show

from xiaozhi_persona.memory import diary, text_index
from xiaozhi_persona.memory.recall import Draft, recall
from xiaozhi_persona.memory.store import OwnerStore, owner_folder
from xiaozhi_persona.memory.words import query_terms
from xiaozhi_persona.spine import Turn

ZONE = timezone(timedelta(hours=8))
END = datetime(2025, 8, 20, 23, 0, tzinfo=ZONE)
TURNS_A_DAY = 274
PLANTED = 300
QUESTIONS = 200


def _words(text: str) -> list[str]:
    return text.split()


_WHO = _words("小王 小李 妈妈 爸爸 老张 同事 邻居 表姐 室友 教练")
_WHAT = _words(
    "吃火锅 看电影 去公园 打羽毛球 写报告 开会 做饭 逛街 修自行车 读小说 学吉他 跑步 收拾房间 买菜 看展览 剪头发 喝奶茶 下棋"
)
_WHERE = _words("家里 公司 学校 楼下 商场 河边 咖啡馆 图书馆 车站 医院")
_FEEL = _words("挺开心的 有点累 很有意思 不太顺利 比想的要久 还不错 以后再去 花了不少钱")
_ASK = _words(
    "今天天气怎么样 帮我讲个笑话 给我推荐一首歌 明天几点日出 这道题怎么做 你觉得我该怎么办 晚饭吃什么好 现在几点了"
)
_ANSWER = _words(
    "听起来不错呀 原来是这样 那你要注意休息 我也觉得挺好的 要不要我帮你记下来 哈哈真有意思 慢慢来不着急 下次可以换个地方"
)
_SURNAMES = _words(
    "欧阳 上官 司徒 诸葛 慕容 东方 令狐 独孤 皇甫 尉迟 公孙 夏侯 端木 百里 南宫 西门 呼延 轩辕"
)
_GIVEN = _words("承 朔 霁 骁 翊 蘅 珩 铎 洵 泓 峤 岱 黛 绮 芷 蕴 钰 瑾")
# Things said once: what was said, what was answered, and what is asked for it later.
_OBJECTS = _words(
    "怀表 航海图 陶罐 铜铃 竹笛 油画 砚台 风筝 八音盒 望远镜 打字机 留声机 檀木梳 琥珀 地球仪 蓑衣 算盘 邮票册 皮影 马灯"
)
_PLACES = _words("阁楼 地窖 旧仓库 祠堂 花房 码头 钟楼 磨坊 灯塔 茶馆 染坊 戏台 书院 渡口 果园")


def planted(number: int, chance: random.Random) -> tuple[str, str, str, bool]:
    """Return (said, answered, question, whether the answer stands in the reply). Each is about somebody else."""
    name = _SURNAMES[number % len(_SURNAMES)] + _GIVEN[number // len(_SURNAMES) % len(_GIVEN)]
    thing, place = chance.choice(_OBJECTS), chance.choice(_PLACES)
    if number % 2:
        said = f"我在{place}遇到了{name}，他送给我一个{thing}"
        return said, chance.choice(_ANSWER), f"{name}那次送了我什么", False
    return (
        f"{name}的那个{thing}应该怎么保养才好呢",
        "用软布蘸一点核桃油慢慢擦",
        f"{name}的{thing}要怎么擦来着",
        True,
    )


def generate(turns: int, chance: random.Random) -> tuple[list[diary.Entry], list[tuple[str, set[str], str]]]:
    """Return the turns, oldest first, and (question, ids of the right turns, id with the answer)."""
    entries: list[diary.Entry] = []
    questions = []
    places = set(chance.sample(range(turns // 2), min(PLANTED, turns // 20)))
    at = END - timedelta(days=turns / TURNS_A_DAY)
    step = timedelta(days=1) * 2 / TURNS_A_DAY
    number = 0
    for pair in range(turns // 2):
        when = at + pair * step
        if pair in places:
            said, answered, question, in_reply = planted(number, chance)
            number += 1
            ids = {f"{pair}u", f"{pair}a"}
            questions.append((question, ids, f"{pair}a" if in_reply else f"{pair}u"))
        elif chance.random() < 0.3:
            said, answered = chance.choice(_ASK), chance.choice(_ANSWER)
        else:
            said = f"{chance.choice(['今天', '刚才', '早上', '下班以后', ''])}我和{chance.choice(_WHO)}在{chance.choice(_WHERE)}{chance.choice(_WHAT)}，{chance.choice(_FEEL)}"
            answered = chance.choice(_ANSWER) + "，" + chance.choice(_ANSWER)
        entries.append(diary.entry(Turn("user", said, when), id=f"{pair}u"))
        reply_at = when + timedelta(seconds=4)
        entries.append(diary.entry(Turn("assistant", answered, reply_at), id=f"{pair}a"))
    return entries, questions


def measured(job: Callable[[int], Any], times: int) -> dict[str, Any]:
    """Run a job and return its wall and CPU milliseconds."""
    wall, cpu = [], []
    for number in range(times):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        job(number)
        wall.append((time.perf_counter() - wall_s) * 1000)
        cpu.append((time.process_time() - cpu_s) * 1000)
    told, used = percentiles(wall), percentiles(cpu)
    return {"wall p50": told["p50"], "wall p95": told["p95"], "cpu p50": used["p50"], "cpu p95": used["p95"]}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[10_000, 100_000])
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    ranking: dict[str, dict[str, Any]] = {}
    for turns in arguments.turns:
        folder = Path(tempfile.mkdtemp(prefix="memory-scale-"))
        try:
            measure(turns, folder, rows, ranking)
        finally:
            shutil.rmtree(folder)
    show(arguments.json, "Memory: milliseconds for one question or turn", rows)
    show(arguments.json, "Share of questions whose right turn is among the first k", ranking)


def measure(
    turns: int, folder: Path, rows: dict[str, dict[str, Any]], ranking: dict[str, dict[str, Any]]
) -> None:
    chance = random.Random(turns)
    entries, questions = generate(turns, chance)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    store = OwnerStore(owner_folder(folder, "bench"), "bench")
    started = time.perf_counter()
    for start in range(0, len(entries), 2000):
        store.append(entries[start : start + 2000])
    import_s = time.perf_counter() - started
    store.append([diary.entry(Turn("user", "我对芒果过敏", END - timedelta(hours=1)))])
    store.close()
    size_mb = sum(path.stat().st_size for path in owner_folder(folder, "bench").iterdir()) / 1e6

    def reopen(_: int) -> None:
        OwnerStore(owner_folder(folder, "bench"), "bench").close()

    rows[f"{turns:,}: open"] = measured(reopen, 20)
    store = OwnerStore(owner_folder(folder, "bench"), "bench")
    days = turns // TURNS_A_DAY

    def ask(text: str) -> Draft:
        draft = Draft()
        recall(store.reader, text, END, draft, max_tokens=800)
        return draft

    def on_day(_: int) -> str:
        day = END - timedelta(days=chance.randrange(1, min(days, 360)))
        return f"{day.month}月{day.day}号"

    for name, job in {
        "a day": lambda n: ask(f"{on_day(n)}我们聊了什么"),
        "a day, with words": lambda n: ask(f"{on_day(n)}我和小王去了哪里吃火锅"),
        "last month": lambda n: ask("上个月我们聊了什么"),
        "a fact": lambda n: ask("我对什么过敏"),
        "rare words": lambda n: ask(questions[n % len(questions)][0]),
        "common words": lambda n: ask(f"{chance.choice(_WHO)}{chance.choice(_WHAT)}{chance.choice(_FEEL)}"),
    }.items():
        rows[f"{turns:,}: {name}"] = measured(job, QUESTIONS)
    rows[f"{turns:,}: append"] = measured(
        lambda n: store.append([diary.entry(Turn("user", entries[n].text, END + timedelta(seconds=n)))]), 500
    )
    after_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows[f"{turns:,}: file {size_mb:.0f} MB, import {import_s / turns * 1e6:.0f} µs a turn"] = {
        "extra memory MB": round(after_mb - before_mb)
    }
    rows[f"{turns:,}: exact sets for {QUESTIONS} ranges"] = {
        "share": exact_ranges(store, entries, chance, days)
    }
    for label, weight in (("with neighbours", text_index.NEIGHBOUR_WEIGHT), ("without", 0.0)):
        ranking[f"{turns:,}: {label}"] = found_share(store, questions, weight)
    store.close()


def exact_ranges(store: OwnerStore, entries: list[diary.Entry], chance: random.Random, days: int) -> float:
    """Return the share of ranges for which exactly the turns said in them come back."""
    right = 0
    for _ in range(QUESTIONS):
        start = (END - timedelta(days=chance.randrange(1, days), hours=chance.randrange(24))).replace(
            tzinfo=None
        )
        end = min(start + timedelta(hours=chance.choice([1, 6, 24, 72, 168])), END.replace(tzinfo=None))
        low, high = diary.to_local_ms(start), diary.to_local_ms(end - timedelta(hours=2))
        wanted = [entry.id for entry in entries if low <= entry.local_ms < high]
        found = [entry.id for entry in diary.in_range(store.reader, start, end - timedelta(hours=2))]
        right += found == wanted
    return right / QUESTIONS


def found_share(
    store: OwnerStore, questions: list[tuple[str, set[str], str]], weight: float
) -> dict[str, Any]:
    """Return recall@k of the turn that was said and, beside it, of the turn that has the answer."""
    said = {5: 0, 10: 0, 20: 0}
    answer = dict(said)
    for question, ids, with_answer in questions:
        hits = text_index.search(store.reader, query_terms(question), 20, neighbour_weight=weight)
        turns = diary.by_seq(store.reader, [hit.seq for hit in hits])
        names = [turns[hit.seq].id for hit in hits]
        for k in said:
            said[k] += bool(ids & set(names[:k]))
            answer[k] += with_answer in names[:k]
    total = len(questions)
    return {f"said @{k}": round(said[k] / total, 3) for k in said} | {
        f"answer @{k}": round(answer[k] / total, 3) for k in answer
    }


if __name__ == "__main__":
    main()
