"""`memory when`: one question, and lines of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest


def run(*arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xiaozhi_persona", "memory", "when", *arguments],
        input=lines.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if lines else "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_one_question_as_json() -> None:
    done = run("昨天下午聊了什么", "--now", "2025-08-20T15:30", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "ranges": [
            {
                "start": "2025-08-19T12:00:00",
                "end": "2025-08-19T18:00:00",
                "text": "昨天下午",
                "granularity": "part_of_day",
            }
        ]
    }


def test_one_question_for_people() -> None:
    assert "2025-08-19 00:00 → 2025-08-20 00:00" in run("昨天", "--now", "2025-08-20").stdout
    assert "没有" in run("你好", "--now", "2025-08-20").stdout


def test_lines_are_answered_in_order_each_with_its_own_now() -> None:
    lines = [
        {"id": "a", "q": "昨天", "now": "2025-08-20T15:30:00"},
        {"id": 7, "q": "今天是几号", "now": "2025-08-20T15:30:00"},
        {"id": "c", "q": "昨天", "now": "2024-03-01 09:00"},
        {"id": "d", "q": "前天"},
    ]
    done = run("--jsonl", "--now", "2025-01-01", lines="\n".join(json.dumps(line) for line in lines) + "\n\n")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", 7, "c", "d"]
    assert [[one["start"] for one in answer["ranges"]] for answer in answers] == [
        ["2025-08-19T00:00:00"],
        [],
        ["2024-02-29T00:00:00"],
        ["2024-12-30T00:00:00"],
    ]


@pytest.mark.parametrize(
    "bad",
    [
        '{"id": 1',
        '{"id": 1}',
        '["昨天"]',
        '{"id":1,"q":5}',
        '{"id":1,"q":"昨天","now":"昨天"}',
        '{"id":1,"q":"昨天","now":5}',
    ],
)
def test_a_bad_line_is_named_after_the_answers_before_it(bad: str) -> None:
    done = run("--jsonl", lines='{"id":"a","q":"昨天","now":"2025-08-20"}\n' + bad + "\n")
    assert done.returncode == 2
    assert "第 2 行" in done.stderr and "Traceback" not in done.stderr
    assert json.loads(done.stdout)["id"] == "a"


@pytest.mark.parametrize("arguments", [(), ("昨天", "--jsonl"), ("昨天", "--now", "昨天")])
def test_wrong_use_ends_with_code_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


def test_half_a_character_is_written_as_its_escape() -> None:
    done = run("--jsonl", lines='{"id":"\\ud800","q":"\\udfff昨天","now":"2025-08-20"}\n')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ranges"][0]["text"] == "昨天"


def test_ten_thousand_lines_are_a_matter_of_seconds() -> None:
    line = json.dumps({"id": "x", "q": "上周三下午三点半我们聊了什么", "now": "2025-08-20T15:30:00"})
    started = time.perf_counter()
    done = run("--jsonl", lines=(line + "\n") * 10_000)
    # 3 s is the promise; the test leaves room for a busy machine.
    assert time.perf_counter() - started < 15
    assert done.stdout.count("\n") == 10_000
