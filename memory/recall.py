"""What helps to answer a question: found in the owner's diary and facts, and rendered for the chat model.

The time that the question names comes first, then the ranking inside of it. Without a time: facts, then the
full text. What is found is put into a draft step by step, so that the deadline gets what is ready.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from xiaozhi_persona.memory import diary, digests, plans, text_index, wall_clock
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.facts.asked import facts_named, facts_of, notes
from xiaozhi_persona.memory.facts.choice import facts_wanted, few_likes
from xiaozhi_persona.memory.facts.kinds import APPOINTMENT, Fact, is_single
from xiaozhi_persona.memory.facts.questions import Asked, facts_asked
from xiaozhi_persona.memory.found_turns import MIN_COVERAGE, events_between, find_turns, is_about_us
from xiaozhi_persona.memory.future_words import find_future
from xiaozhi_persona.memory.named_conversations import find_conversation
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.render import MAX_LINE_CHARS, fact_line, span, turn_lines, turn_tokens
from xiaozhi_persona.memory.small_talk import is_small_talk
from xiaozhi_persona.memory.time_words import TimeRange, find_ranges
from xiaozhi_persona.memory.words import Term, query_terms
from xiaozhi_persona.text.measures import estimated_tokens

log = logging.getLogger(__name__)

MAX_QUESTION_CHARACTERS = 1000
_MAX_HITS = 24
_MAX_FACTS = 12
_MAX_RANGES = 4
_DAYS_AHEAD = 60  # of which appointments are shown when no day is named
_TOKENS_A_TURN = 18  # about; decides how many turns are read for a spread
_LEAST_TOKENS = 10  # of a turn's line
_STEPS_A_CHECK = 2000  # of SQLite's machine, between two looks at the clock

Near = Callable[[], Mapping[int, float]]
"""Returns how near turns are to a question, by their numbers: see Meaning.near."""

_OF_THE_WORLD = re.compile(
    r"天气|气温|新闻|热搜|股[价市票]|大盘|汇率|[油金]价|限行|空气质量|星期几|几点(?:了|钟|日[出落]|天[亮黑])*[啊呀呢吗?？。]*$"
    r"|\b(?:weather|temperature|news|stock)\b",
    re.IGNORECASE,
)
_TALK = re.compile(r"聊|谈|说[了过什些]|讲[了过什]|话题|\b(?:talk|said|say|discuss|chat)|話", re.IGNORECASE)
"""What was talked about on a day, not what happened on it."""


def recall(
    db: sqlite3.Connection,
    question: str,
    now: datetime,
    draft: Draft,
    *,
    max_tokens: int,
    deadline_s: float | None = None,
    skip: Sequence[str] = (),
    near: Near = dict,
) -> None:
    """Fill the draft. `deadline_s` is a time of time.monotonic(); `skip` are ids of turns that are known anyway; `near`
    tells how near turns are to the question by what they mean, and may have to wait for that.

    Never raises: what the database reports ends the search with what was found before.
    """
    question = diary.storable(question[:MAX_QUESTION_CHARACTERS])
    if is_small_talk(question):
        draft.complete = True
        return
    if deadline_s is not None:
        db.set_progress_handler(lambda: time.monotonic() > deadline_s, _STEPS_A_CHECK)
    try:
        db.execute("begin")  # one view of the database, and one lock for all questions to it
        _Search(db, question, now, draft, max_tokens, set(skip), near).run()
        draft.complete = True
    except sqlite3.OperationalError as exc:
        if "interrupted" not in str(exc):
            log.warning("回忆时数据库出错（%s），只用上已经找到的。", exc)
    except Exception:
        log.exception("回忆时出错，只用上已经找到的。")
    finally:
        if deadline_s is not None:
            db.set_progress_handler(None, 0)
        with contextlib.suppress(sqlite3.Error):
            db.rollback()


_LAST_NIGHT = pattern("昨[天儿个]*晚|昨夜|last night|yesterday (?:evening|night)", re.IGNORECASE)
_SMALL_HOURS = timedelta(hours=5)
_LATELY = pattern(
    r"最近|近来|近期|近日|[这近][一些]?[段阵]|这些[天日]|\b(?:recently|lately|these days)\b", re.IGNORECASE
)


class _Search:
    """One recall. The parts of the text are kept in order: facts, appointments, then the diary."""

    def __init__(
        self,
        db: sqlite3.Connection,
        question: str,
        now: datetime,
        draft: Draft,
        max_tokens: int,
        skip: set[str],
        near: Near,
    ) -> None:
        self._db = db
        self._question = question
        self._now = diary.aware(now)
        self._local = self._now.replace(tzinfo=None)
        self._now_ms = diary.to_ms(self._now)
        self._offset_min = (self._now.utcoffset() or timedelta()) // timedelta(minutes=1)
        self._draft = draft
        self._max_tokens = max_tokens
        self._skip = skip
        self._near = near
        self._plans: list[tuple[datetime, datetime]] = []  # days ahead that the words for past ones may mean

    def run(self) -> None:
        ranges = find_ranges(self._question, self._local)[:_MAX_RANGES]
        if ranges and _OF_THE_WORLD.search(self._question) and not is_about_us(self._question):
            return  # 今天天气怎么样: what was said today does not answer it
        ranges = ranges or find_conversation(self._db, self._question, self._now, self._skip)
        self._draft.ranges = list(ranges)
        self._plans = plans.days_meant(self._question, ranges, self._local)
        asked = facts_wanted(self._question)
        if ranges:
            self._facts_of(asked, ranges, [])
            for start, end in self._plans:
                self._events(start, end, [])
            for part in ranges:
                self._add(digests.for_range(self._db, part.start, part.end, self._left() // 3))
                told = self._events(part.start, part.end, self._terms_beside(ranges))
                self._range(part, ranges, has_events=told)
                self._beyond(part, ranges)
            if len(ranges) > 1:
                self._draft.turns_in_range = self._count(ranges)
            if self._plans and not self._draft.text:
                self._add(plans.nothing_on(self._plans))
            return
        if not self._ahead():
            terms = query_terms(self._question)
            self._facts_of(asked, (), terms)
            self._words(terms)

    def _add(self, text: str) -> None:
        """Add a part to the text; an empty one changes nothing."""
        self._draft.text = "\n".join(filter(None, (self._draft.text, text)))

    def _left(self) -> int:
        """Return how many tokens more the text may have."""
        return self._max_tokens - estimated_tokens(self._draft.text)

    # Facts.

    def _facts_of(self, asked: Asked | None, ranges: Sequence[TimeRange], terms: Sequence[Term]) -> None:
        """Add the facts that are asked for: those of now, or of the time that the question names."""
        start_ms = end_ms = self._now_ms
        if ranges:
            start_ms = self._utc_ms(min(part.start for part in ranges))
            end_ms = min(self._utc_ms(max(part.end for part in ranges)) - 1, self._now_ms)
        elif asked and asked.past:
            start_ms = 0
        found: list[Fact] = []
        if asked:
            found += facts_of(self._db, asked, start_ms, end_ms)
            if APPOINTMENT in asked.attributes:
                found += self._appointments(ranges)
        if not ranges:
            found += facts_named(self._db, self._question, asked, start_ms, end_ms)
            found += notes(self._db, terms, self._now_ms)
        self._show_facts(few_likes(found, self._question))

    def _utc_ms(self, local: datetime) -> int:
        return wall_clock.to_local_ms(local) - self._offset_min * 60_000

    def _appointments(self, ranges: Sequence[TimeRange]) -> list[Fact]:
        days = [(day.start, day.end) for day in find_future(self._question, self._local)]
        days += [(part.start, part.end) for part in ranges] + self._plans
        days = days or [(self._local, self._local + timedelta(days=_DAYS_AHEAD))]
        return [fact for start, end in days for fact in reading.appointments(self._db, start, end)]

    def _show_facts(self, found: Sequence[Fact]) -> None:
        lines: dict[str, None] = {}
        left = self._left() // 2
        for fact in {fact.id: fact for fact in found}.values():
            line = fact_line(fact, self._offset_min, reading.over_beside(self._db, fact))
            cost = 0 if line in lines else estimated_tokens(line)  # one sentence may tell several
            if cost > left or len(self._draft.facts) == _MAX_FACTS:
                continue
            left -= cost
            lines[line] = None
            self._draft.facts.append(fact)
        if lines:
            self._add("\n".join(lines))

    def _ahead(self) -> bool:
        """Add the appointments of the days ahead that the question names. Returns whether it asked for them."""
        ahead = find_future(self._question, self._local)
        if not ahead or not plans.may_be_asked(self._question):
            return False
        shown = False
        for day in ahead[:_MAX_RANGES]:
            self._show_facts(reading.appointments(self._db, day.start, day.end))
            shown = self._events(day.start, day.end, []) or bool(self._draft.facts) or shown
        asks = facts_asked(self._question)
        if not shown and asks and APPOINTMENT in asks.attributes:
            self._add(plans.nothing_on([(day.start, day.end) for day in ahead[:_MAX_RANGES]]))
            return True
        return shown

    # The diary.

    def _events(self, start: datetime, end: datetime, terms: Sequence[Term]) -> bool:
        """Add what was said on other days of what happened, or is to happen, in a range. Returns whether there is any."""
        if _TALK.search(self._question):
            return False
        told = events_between(self._db, start, end, terms, self._skip)
        outside = [turn for turn in told if not start <= turn.local < end]
        self._show_others(f"别的日子说到{span(start, end)}：", outside[:_MAX_HITS], terms, self._left() // 2)
        return bool(told)

    def _range(self, part: TimeRange, ranges: Sequence[TimeRange], *, has_events: bool) -> None:
        """Add what was said in a range: all of it if it fits, else what the question's words rank first."""
        start_ms, end_ms = wall_clock.to_local_ms(part.start), wall_clock.to_local_ms(part.end)
        total = diary.count_between(self._db, start_ms, end_ms)
        self._draft.turns_in_range += total
        budget = self._left() // (len(ranges) - ranges.index(part)) - 24
        if not total:
            if not has_events and not self._plans:
                self._add(f"{span(part.start, part.end)} 没有说过什么，没有谈话记录。")
            return
        fitting = max(4, budget // _TOKENS_A_TURN)
        terms = self._terms_beside(ranges)
        turns: Iterable[Entry]
        if total <= fitting:
            turns = diary.in_range(self._db, part.start, part.end)
            if terms and sum(map(turn_tokens, turns)) > budget:
                turns = self._ranked(terms, start_ms, end_ms, total, fitting) + diary.evenly(turns)
        else:
            turns = self._best_then_spread(terms, start_ms, end_ms, total, fitting)
        self._show_turns(part, turns, total, budget, terms)

    def _beyond(self, part: TimeRange, ranges: Sequence[TimeRange]) -> None:
        """Add what was said outside of a range that tells only about when: of the small hours after 昨晚; of the day
        beside its part, as what was eaten at noon may be told in the evening; and of the time before 最近, where
        nobody spoke of it since.
        """
        terms = self._terms_beside(ranges) if part.granularity in ("part_of_day", "range") else []
        if part.granularity == "part_of_day":
            if _LAST_NIGHT.match(part.text) and part.end.hour == 0:
                late = diary.in_range(self._db, part.end, part.end + _SMALL_HOURS, _MAX_HITS)
                self._show_others("过了零点说过：", late, terms)
            if not terms:
                return
            start, end = (
                wall_clock.to_local_ms(bound) for bound in wall_clock.whole_days(part.start, part.end)
            )
            total = diary.count_between(self._db, start, end)
            best = self._best_then_spread(terms, start, end, total, _MAX_HITS)
            self._show_others("这一天别的时候说过：", best, terms)
        elif _LATELY.search(part.text):
            if not self._draft.turns:
                turns = diary.latest(self._db, _MAX_HITS)
                self._show_others("再早一些说过：", self._found(terms) if terms else turns, terms)
            elif terms and not _any_holds(self._draft.turns, terms):
                self._show_others("再早一些说过：", self._found(terms), terms)

    def _show_others(
        self, heading: str, turns: Iterable[Entry], terms: Sequence[Term], left: int | None = None
    ) -> None:
        """Add turns that are not shown yet under a heading, as many as fit into `left` tokens."""
        budget = (self._left() if left is None else left) - 28
        fit = self._fitting(turns, budget) if budget > _LEAST_TOKENS else []
        if fit:
            self._draft.turns = sorted([*self._draft.turns, *fit], key=lambda turn: (turn.local_ms, turn.seq))
            self._add(f"{heading}\n{self._lines(fit, terms[0].text if terms else '')}")

    def _count(self, ranges: Sequence[TimeRange]) -> int:
        """Return how many turns there are in the ranges together: those of two ranges count once."""
        total, reached = 0, wall_clock.to_local_ms(datetime.min)
        for part in sorted(ranges):
            start_ms, end_ms = (
                max(wall_clock.to_local_ms(part.start), reached),
                wall_clock.to_local_ms(part.end),
            )
            if start_ms < end_ms:
                total += diary.count_between(self._db, start_ms, end_ms)
                reached = end_ms
        return total

    def _terms_beside(self, ranges: Sequence[TimeRange]) -> list[Term]:
        """Return the words of the question that are not its words for the time."""
        rest = self._question
        for part in ranges:
            rest = rest.replace(part.text, " ")
        return query_terms(rest)

    def _best_then_spread(
        self, terms: Sequence[Term], start_ms: int, end_ms: int, total: int, count: int
    ) -> Iterator[Entry]:
        """Yield what the words rank first, and where that leaves room, turns from all over the range."""
        best = self._ranked(terms, start_ms, end_ms, total, count) if terms else []
        yield from best
        if len(best) < count:
            yield from diary.evenly(diary.spread(self._db, start_ms, end_ms, count - len(best)))

    def _ranked(
        self, terms: Sequence[Term], start_ms: int, end_ms: int, total: int, count: int
    ) -> list[Entry]:
        """Return up to `count` turns of the `total` of the range: those with the words, and those beside them."""
        k, local_ms = max(4, count // 2), (start_ms, end_ms)
        hits = text_index.rank(self._db, terms, k, local_ms) if total <= text_index.MAX_READ else None
        if hits is None:
            seqs = diary.seqs_between(self._db, start_ms, end_ms)
            hits = text_index.search(self._db, terms, k, seqs=seqs, local_ms=local_ms)
        wanted: dict[int, None] = {}
        for hit in hits:
            if hit.coverage >= MIN_COVERAGE:
                wanted.update(dict.fromkeys((hit.seq, hit.seq + 1, hit.seq - 1)))
        first = list(wanted)[:count]
        turns = diary.by_seq(self._db, first)
        return [turns[seq] for seq in first if seq in turns and start_ms <= turns[seq].local_ms < end_ms]

    def _show_turns(
        self, part: TimeRange, turns: Iterable[Entry], total: int, budget: int, terms: Sequence[Term]
    ) -> None:
        """Add turns, as many as fit: the first of the list come first."""
        fit = self._fitting(turns, budget)
        if not fit:
            return
        around = next((term.text for term in terms if any(term.text in turn.text for turn in fit)), "")
        start_ms, end_ms = wall_clock.to_local_ms(part.start), wall_clock.to_local_ms(part.end)
        total -= sum(start_ms <= turn.local_ms < end_ms for turn in self._draft.turns)  # shown by now
        self._draft.turns = sorted([*self._draft.turns, *fit], key=lambda turn: (turn.local_ms, turn.seq))
        if len(fit) < total:
            self._add(f"这段时间说过什么：共 {total} 条，下面是其中 {len(fit)} 条。")
        self._add(self._lines(fit, around))

    def _words(self, terms: Sequence[Term]) -> None:
        """Add the turns that hold the question's words, and what was said around the first of them."""
        answered = [is_single(fact.subject, fact.attribute) for fact in self._draft.facts]
        if answered and all(answered) and all(len(term.text) == 1 for term in terms):
            return  # single characters add nothing to facts that answer
        fit = self._fitting(self._found(terms), self._left() - 20)
        if fit:
            self._draft.turns = sorted(fit, key=lambda turn: (turn.local_ms, turn.seq))
            self._add(self._lines(fit, terms[0].text))

    def _found(self, terms: Sequence[Term]) -> list[Entry]:
        """Return the turns that the words find, the best first."""
        told = [fact.source for fact in self._draft.facts[:2]]
        return find_turns(self._db, terms, self._question, _MAX_HITS, self._skip, told, self._near())

    def _lines(self, turns: Sequence[Entry], around: str) -> str:
        return turn_lines(turns, around, reading.over_of(self._db, [turn.id for turn in turns]))

    def _fitting(self, turns: Iterable[Entry], budget: int) -> list[Entry]:
        """Return those of the turns that are not shown yet, neither by themselves nor as what told a fact, and fit into
        so many tokens, at least one: the first of the list come first.
        """
        fit: list[Entry] = []
        days = set()
        known = {turn.seq for turn in self._draft.turns}
        told = {fact.source for fact in self._draft.facts if 0 < len(fact.said) <= MAX_LINE_CHARS}
        for turn in turns:
            if budget < _LEAST_TOKENS and fit:
                break
            day = turn.local_ms // wall_clock.DAY_MS
            cost = turn_tokens(turn) + (0 if day in days else 8)
            if turn.seq in known or turn.id in told or (cost > budget and fit):
                continue
            budget -= cost
            known.add(turn.seq)
            days.add(day)
            fit.append(turn)
        return fit


def _any_holds(turns: Sequence[Entry], terms: Sequence[Term]) -> bool:
    """Whether any of the turns holds one of the words; single characters do not count."""
    return any(term.text in turn.text.lower() for term in terms if term.weight >= 1 for turn in turns)
