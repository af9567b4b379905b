"""Recall in words: which share of the turns that answer a question is among the first 10 and 20 that are found.

With a file of English conversations in LoCoMo's form, a list of {conversation, qa} (github.com/snap-research/locomo,
CC BY-NC 4.0: not part of this project; fetch it, and join the ten files of data/locomo10.zip, each of which is the
conversation with its "qa" inside), and always with a Chinese set of our own (recall_zh.py), where it is also asked
which share of the answers stands in the text that the chat model is given. With `--embedder` turns are found by what
they mean, too.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import recall_zh
from figures import options, show  # first: it sets the threads of numeric libraries
from numpy.typing import NDArray

from xiaozhi_persona.memory import diary, text_index, vectors
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.found_turns import by_words_and_meaning
from xiaozhi_persona.memory.meaning import Meaning
from xiaozhi_persona.memory.recall import recall
from xiaozhi_persona.memory.store import OwnerStore, owner_folder
from xiaozhi_persona.memory.who_spoke import said_by
from xiaozhi_persona.memory.words import query_terms
from xiaozhi_persona.providers.embed.engine import ENGINES, open_embedder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder, Turn
from xiaozhi_persona.text.measures import estimated_tokens

CUTS = (10, 20)
KINDS = {1: "several turns", 2: "when", 3: "open", 4: "one turn"}
"""LoCoMo's categories. The fifth has questions without an answer."""
_TURN_ID = re.compile(r"D(\d+):(\d+)")


class Asked(NamedTuple):
    """A question, and the ids of the turns that answer it."""

    kind: str
    text: str
    evidence: frozenset[str]


class Meanings:
    """The vectors of texts, each made once; of an embedder, or of none."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder
        self._known: dict[str, NDArray[np.int8]] = {}

    def of(self, store: OwnerStore) -> Meaning | None:
        """Return what the turns of a memory mean."""
        if self._embedder is None:
            return None
        rows = store.reader.execute("select seq, text from turn order by seq").fetchall()
        new = list(dict.fromkeys(text for _, text in rows if text not in self._known))
        for start in range(0, len(new), 32):
            part = new[start : start + 32]
            made = self._embedder.passages([text[: vectors.MAX_CHARS] for text in part])
            self._known |= zip(part, map(vectors.packed, made), strict=True)
        seqs = np.array([seq for seq, _ in rows], np.int64)
        return Meaning(seqs, np.stack([self._known[text] for _, text in rows]))

    def near(self, meaning: Meaning | None, question: str) -> dict[int, float]:
        """Return how near turns are to a question."""
        if self._embedder is None or meaning is None:
            return {}
        return meaning.near(self._embedder.query(question), text_index.NEIGHBOUR_WEIGHTS)


meanings = Meanings()
PEOPLE = 15
TOKENS = 800


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--locomo", type=Path, metavar="FILE.json", help="conversations in LoCoMo's form")
    parser.add_argument(
        "--embedder", choices=("off", "auto", *ENGINES), default="off", help="memory.embedder"
    )
    parser.add_argument("--model", default="", help="memory.embedder_model")
    parser.add_argument("--url", default="", help="memory.embedder_url")
    arguments = parser.parse_args()
    settings = MemorySettings(
        embedder=arguments.embedder, embedder_model=arguments.model, embedder_url=arguments.url
    )
    global meanings
    meanings = Meanings(open_embedder(settings))
    if arguments.locomo:
        conversations = json.loads(arguments.locomo.read_text(encoding="utf-8"))
        for named in (False, True):
            title = (
                f"LoCoMo: share of the evidence among the first k turns{', speakers known' if named else ''}"
            )
            show(arguments.json, title, locomo(conversations, named=named))
    title = f"Chinese: share of the answers in the recalled text of {TOKENS} tokens"
    show(arguments.json, title, chinese())


def chinese() -> dict[str, dict[str, Any]]:
    """Return the share of the answers that stand in the recalled text, by kind of question: with each person's own
    talk, and with that of all others in the same memory, each somewhat earlier in the day.
    """
    people = [recall_zh.person(number) for number in range(PEOPLE)]
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for column in ("own talk", "all people's talk"):
        shares: dict[str, list[float]] = defaultdict(list)
        tokens = []
        for number, (entries, questions) in enumerate(people):
            alone = column == "own talk"
            told = entries if alone else amid(entries, [talk for talk, _ in people if talk is not entries])
            with opened(f"{column} {number}", told) as store:
                meaning = meanings.of(store)
                for asked in questions:
                    if not alone and asked.kind in ("first", "last"):
                        continue  # of whose talk?
                    draft = Draft()
                    near = partial(meanings.near, meaning, asked.text)
                    recall(store.reader, asked.text, recall_zh.NOW, draft, max_tokens=TOKENS, near=near)
                    share = sum(answer in draft.text for answer in asked.answers) / len(asked.answers)
                    shares[asked.kind].append(share)
                    shares["all"].append(share)
                    tokens.append(estimated_tokens(draft.text))
        for kind, found in sorted(shares.items(), key=lambda item: (item[0] == "all", item[0])):
            rows[kind] |= {column: round(sum(found) / len(found), 3)}
        rows["all"][f"{column}, tokens"] = round(sum(tokens) / len(tokens))
    return rows


def amid(entries: Sequence[diary.Entry], others: Sequence[Sequence[diary.Entry]]) -> list[diary.Entry]:
    """Return turns with those of other people between them, each of whom spoke somewhat earlier in the day."""
    told = list(entries)
    for place, talk in enumerate(others, 1):
        told += [turn._replace(at_ms=turn.at_ms - 37 * 60_000 * place) for turn in talk]
    return sorted(told, key=lambda turn: turn.at_ms)


def locomo(conversations: Sequence[dict[str, Any]], *, named: bool) -> dict[str, dict[str, Any]]:
    """Return the share of the evidence that is found, by kind of question."""
    shares: dict[str, list[list[float]]] = defaultdict(list)
    for number, data in enumerate(conversations):
        entries = list(turns_of(data["conversation"], named))
        with opened(f"locomo {number}", entries) as store:
            meaning = meanings.of(store)
            for asked in questions_of(data["qa"], entries):
                found = search(store, asked.text, meanings.near(meaning, asked.text))
                share = [len(asked.evidence & set(found[:cut])) / len(asked.evidence) for cut in CUTS]
                shares[asked.kind].append(share)
                shares["all"].append(share)
    return {kind: row(shares[kind]) for kind in (*KINDS.values(), "all")}


def row(shares: Sequence[Sequence[float]]) -> dict[str, Any]:
    means = (round(sum(column) / len(shares), 3) for column in zip(*shares, strict=True))
    return {"questions": len(shares)} | {f"@{cut}": mean for cut, mean in zip(CUTS, means, strict=True)}


def turns_of(conversation: dict[str, Any], named: bool) -> Iterator[diary.Entry]:
    """Yield the turns of a LoCoMo conversation: the first speaker is the user, the second one the assistant.

    `named`: the memory is told of each turn who spoke.
    """
    first = conversation["speaker_a"]
    for name, turns in conversation.items():
        if not re.fullmatch(r"session_\d+", name):
            continue
        start = datetime.strptime(conversation[f"{name}_date_time"], "%I:%M %p on %d %B, %Y")
        for number, said in enumerate(turns):
            at = start.replace(tzinfo=timezone.utc) + timedelta(seconds=20 * number)
            picture = f" [{said['blip_caption']}]" if said.get("blip_caption") else ""
            who: Literal["user", "assistant"] = "user" if said["speaker"] == first else "assistant"
            # The speaker is named in the text, as in every way of giving these conversations to a memory as text.
            turn = Turn(who, f"{said['speaker']}: {said['text']}{picture}", at)
            yield diary.entry(turn, id=said["dia_id"], speaker=said["speaker"] if named else "")


def questions_of(qa: Iterable[dict[str, Any]], entries: Iterable[diary.Entry]) -> Iterator[Asked]:
    known = {entry.id for entry in entries}
    for asked in qa:
        told = _TURN_ID.findall(" ".join(asked.get("evidence", [])))
        evidence = frozenset(f"D{int(session)}:{int(turn)}" for session, turn in told) & known
        if asked["category"] in KINDS and evidence:
            yield Asked(KINDS[asked["category"]], str(asked["question"]), evidence)


@contextlib.contextmanager
def opened(owner: str, entries: Sequence[diary.Entry]) -> Iterator[OwnerStore]:
    """Open a new memory that holds these turns, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="recall-"))
    with contextlib.closing(OwnerStore(owner_folder(folder, owner), owner)) as store:
        try:
            store.append(entries)
            yield store
        finally:
            shutil.rmtree(folder)


def search(store: OwnerStore, text: str, near: Mapping[int, float]) -> list[str]:
    """Return the ids of the turns that are found for a question, best first."""
    count = 3 * max(CUTS) if near else max(CUTS)  # what words rank lower may be near
    hits = text_index.search(store.reader, query_terms(text), count, said_by=said_by(text))
    seqs = by_words_and_meaning(hits, near)[: max(CUTS)]
    turns = diary.by_seq(store.reader, seqs)
    return [turns[seq].id for seq in seqs]


if __name__ == "__main__":
    main()
