"""What the reply parser and sentence cutter cost for 1,000 characters, in chunks as chat models send them."""

from __future__ import annotations

import time

from figures import options, percentiles, show

from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.text.reply import ReplyReader

TEXTS = {
    "Chinese with tags": "【高兴】今天天气真不错，我们一起去公园散步吧！【困惑】你觉得怎么样？路上可以买两个冰淇淋。",
    "English": "[happy] What a lovely day, shall we go for a walk? Mr. Smith said it is 3.5 degrees warmer. ",
    "Markdown": "## 步骤\n- **第一步**：打开`设置`，看[说明](https://example.com/a?b=1)。\n1. 完成 🎉 [悲伤]再见！\n",
}


def main() -> None:
    arguments = options(__doc__).parse_args()
    names = built_in_names()
    rows = {}
    for name, text in TEXTS.items():
        reply = (text * (1000 // len(text) + 1))[:1000]
        chunks = [reply[i : i + 3] for i in range(0, len(reply), 3)]
        costs = []
        for _ in range(50):
            started = time.process_time()
            reader = ReplyReader(names)
            for chunk in chunks:
                reader.feed(chunk)
            reader.finish()
            costs.append((time.process_time() - started) * 1000)
        rows[name] = percentiles(costs)
    show(arguments.json, "Parser and cutter, CPU ms for 1,000 characters in chunks of 3", rows)


if __name__ == "__main__":
    main()
