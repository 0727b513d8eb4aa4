"""Dialogues that the language model itself writes, as material for scripts beside the templates.

`python -m model.training.simulation.own_dialogues --weights weights/nano --count 20 --out data/dialogues.jsonl`

The model is served offline by its own engine and asked for a short dialogue; what it writes is read turn by turn and
kept only where it is short, plain, spoken English. Each line of the file is one dialogue: [[user, agent], ...].

With `--answers` it is asked questions instead, and its whole answers are kept: a model that goes on to learn other
things from sessions is reminded by them of how it wrote.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from tqdm import tqdm

from model.checkpoint import load_checkpoint
from model.loading import load_engine
from model.training.data.seeding import random_for, seed_of
from model.training.data.text.spoken import bare, is_unwanted
from model.training.data.text.words import COMMON_WORDS
from model.training.simulation.facts import HOBBIES, MEALS
from model.training.simulation.phrasings import may_be_trained_on
from model.training.simulation.pictures import with_article
from streams.types import Message, Respond, Rewrite, Role, Sampling, TickInput, TickOutput, TickWindow

INSTRUCTIONS = (
    "You write short dialogues between a user and a friendly voice assistant. Every line is one short sentence."
)
TOPICS = (*HOBBIES, *MEALS, "the weather", "a good day", "animals", "a trip", "being tired", "the weekend", "books")
SAMPLING = Sampling(temperature=0.7, top_k=50, top_p=0.9, repetition_penalty=1.1)
MAX_TOKENS = 160
MAX_TICKS = 400
ANSWER_SAMPLING = Sampling(temperature=0.5, top_k=50, top_p=0.9, repetition_penalty=1.1)
MOST_ANSWER_WORDS = 90
QUESTIONS = (
    "What is {a_word}?",
    "Tell me something about {a_word}.",
    "Write two sentences about {a_word}.",
    "Write a very short poem about {a_word}.",
    "What can one do with {a_word}?",
    "Why do people like {topic}?",
    "Can you give me some advice about {topic}?",
    "Explain {topic} to a child.",
    "What do you think about {topic}?",
    "How do I begin with {topic}?",
    "Tell me a short story with {a_word} and {another_word} in it.",
    "What is the difference between {a_word} and {another_word}?",
)
FEWEST_TURNS, MOST_TURNS = 1, 4
MOST_WORDS = 16  # of a line
_LINE = re.compile(r"^\W*(user|assistant)\W*:\s*(.+)$", re.IGNORECASE)
_SPOKEN = re.compile(r"[A-Za-z ,.?!;'-]+")

Dialogue = tuple[tuple[str, str], ...]


class TextEngine(Protocol):
    """What is needed of an engine."""

    def open(self, session: str, seed: int) -> None: ...

    def encode(self, windows: Sequence[TickWindow]) -> list: ...

    def step(self, inputs: Sequence[TickInput]) -> Iterator: ...

    def close(self, session: str) -> None: ...


def ask(engine: TextEngine, instructions: str, prompt: str, seed: int, sampling: Sampling = SAMPLING) -> str:
    """One typed answer, from an engine that nobody else uses meanwhile."""
    session = f"own-dialogues-{seed}"
    engine.open(session, seed)
    try:
        commands = (
            Rewrite((Message(0, Role.SYSTEM, (instructions,)),)),
            Message(0, Role.USER, (prompt,)),
            Respond("answer", speak=False, max_tokens=MAX_TOKENS, sampling=sampling),
        )
        text = ""
        for tick in range(MAX_TICKS):
            (tick_input,) = engine.encode([TickWindow(session, tick, commands=commands if tick == 0 else ())])
            if not isinstance(tick_input, TickInput):
                raise ValueError(f"the prompt cannot be read: {tick_input}")
            for output in engine.step([tick_input]):
                if isinstance(output, TickOutput):
                    text += output.text
                    if output.finish is not None:
                        return text
        return text
    finally:
        engine.close(session)


def read_dialogue(text: str) -> Dialogue | None:
    """The turns of a written dialogue, from the first that can be used to the first that cannot; None without any."""
    turns: list[tuple[str, str]] = []
    asked: str | None = None
    for line in text.splitlines():
        found = _LINE.match(line.strip())
        if found is None:
            continue
        who, said = found[1].lower(), " ".join(found[2].strip(' *"').split())
        if not is_plain(said):
            break
        if who == "user":
            asked = said
        elif asked is not None:
            turns.append((asked, said))
            asked = None
    turns = turns[:MOST_TURNS]
    return tuple(turns) if len(turns) >= FEWEST_TURNS else None


def is_plain(text: str) -> bool:
    """Short spoken English that may be trained on: no digits, names of products, lists or markup."""
    words = [bare(word) for word in text.split()]
    return (
        0 < len(words) <= MOST_WORDS
        and _SPOKEN.fullmatch(text) is not None
        and not any(is_unwanted(word) for word in words)
        and may_be_trained_on(text)
    )


def write_dialogues(engine: TextEngine, count: int, seed: int) -> Iterator[Dialogue | None]:
    """What became of each of `count` requests: a dialogue, or None where nothing of it could be used."""
    for number in range(count):
        random = random_for("own dialogue", seed, number)
        yield read_dialogue(ask(engine, INSTRUCTIONS, prompt_for(random), seed_of("own dialogue", seed, number)))


def write_answers(engine: TextEngine, count: int, seed: int, instructions: str) -> Iterator[Dialogue | None]:
    """What became of each of `count` questions: the question and the answer; None where that is no plain paragraph."""
    for number in range(count):
        random = random_for("own answer", seed, number)
        question = question_for(random)
        answer = ask(engine, instructions, question, seed_of("own answer", seed, number), ANSWER_SAMPLING)
        yield read_answer(question, answer)


def read_answer(question: str, answer: str) -> Dialogue | None:
    """One turn, on one line and with its last sentence whole; None for what is too long or may not be trained on."""
    text = " ".join(answer.split())
    if not text or len(text.split()) > MOST_ANSWER_WORDS or text[-1] not in ".!?":
        return None
    return ((question, text),) if may_be_trained_on(question) and may_be_trained_on(text) else None


def question_for(random: np.random.Generator) -> str:
    words = [COMMON_WORDS[place] for place in random.choice(len(COMMON_WORDS), 2, replace=False)]
    return QUESTIONS[int(random.integers(len(QUESTIONS)))].format(
        a_word=with_article(words[0]),
        another_word=with_article(words[1]),
        topic=TOPICS[int(random.integers(len(TOPICS)))],
    )


def prompt_for(random: np.random.Generator) -> str:
    topic = TOPICS[int(random.integers(len(TOPICS)))]
    return (
        f"Write a dialogue about {topic}. Use this form:\n"
        "User: I like tea.\nAssistant: Tea is nice. Do you drink it hot?\n"
        "User: Yes, with milk.\nAssistant: That sounds good.\n"
        "Now write yours, four lines."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.training.simulation.own_dialogues", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--weights", type=Path, default=Path("weights/nano"))
    parser.add_argument("--count", type=int, default=20, help="dialogues to ask for")
    parser.add_argument("--answers", action="store_true", help="ask questions and keep whole answers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; overwritten")
    chosen = parser.parse_args(arguments)
    try:
        engine = load_engine(chosen.weights, max_sessions=1)
    except (OSError, ValueError) as error:
        print(f"own_dialogues: {error}", file=sys.stderr)
        return 1
    if chosen.answers:
        written = write_answers(
            engine, chosen.count, chosen.seed, str(load_checkpoint(chosen.weights).model["instructions"])
        )
    else:
        written = write_dialogues(engine, chosen.count, chosen.seed)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    num_kept = 0
    with chosen.out.open("wb") as file:
        for dialogue in tqdm(written, total=chosen.count, unit="dialogue"):
            if dialogue is not None:
                file.write(msgspec.json.encode(dialogue) + b"\n")
                file.flush()
                num_kept += 1
    print(f"{chosen.out}: {num_kept} of {chosen.count} dialogues kept")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
