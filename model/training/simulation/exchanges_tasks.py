"""Exchanges about small tasks: counting, sums, days, spelling, repeating, dictation."""

from model.training.data.text.numerals import cardinal
from model.training.data.text.words import COMMON_WORDS
from model.training.simulation.facts import SENTENCES, WEEK
from model.training.simulation.phrasings import sentence_case
from model.training.simulation.scene import Scene
from model.training.simulation.script import AnyLine, UserSpeaks

LARGEST = 20  # of sums


def count_up(scene: Scene) -> list[AnyLine]:
    last = int(scene.random.integers(3, 13))
    numbers = ", ".join(cardinal(number) for number in range(1, last + 1))
    return [
        scene.request("count_up", n=cardinal(last)),
        scene.reply(f"{numbers}.", f"Okay. {sentence_case(numbers)}.", keys=(numbers,)),
    ]


def count_down(scene: Scene) -> list[AnyLine]:
    first = int(scene.random.integers(3, 11))
    numbers = ", ".join(cardinal(number) for number in range(first, 0, -1))
    return [
        scene.request("count_down", n=cardinal(first)),
        scene.reply(f"{numbers}.", f"Here goes. {sentence_case(numbers)}.", keys=(numbers,)),
    ]


def add(scene: Scene) -> list[AnyLine]:
    a = int(scene.random.integers(0, LARGEST))
    b = int(scene.random.integers(0, LARGEST - a + 1))
    return _sum(scene, "add", a, b, a + b, "plus")


def subtract(scene: Scene) -> list[AnyLine]:
    a = int(scene.random.integers(1, LARGEST + 1))
    b = int(scene.random.integers(0, a + 1))
    return _sum(scene, "subtract", a, b, a - b, "minus")


def multiply(scene: Scene) -> list[AnyLine]:
    a = int(scene.random.integers(1, 7))
    b = int(scene.random.integers(1, LARGEST // a + 1))
    return _sum(scene, "multiply", a, b, a * b, "times")


def _sum(scene: Scene, kind: str, a: int, b: int, result: int, word: str) -> list[AnyLine]:
    lines: list[AnyLine] = [
        scene.request(kind, a=cardinal(a), b=cardinal(b)),
        scene.reply(
            f"{cardinal(a)} {word} {cardinal(b)} is {cardinal(result)}.", f"That's {cardinal(result)}.",
            f"{cardinal(result)}.", f"It's {cardinal(result)}.", keys=(cardinal(result),),
        ),
    ]  # fmt: skip
    scene.number = result
    return lines


def plus_more(scene: Scene) -> list[AnyLine]:
    """A follow-up: makes sense only with the result of the sum before."""
    first: list[AnyLine] = []
    while scene.number is None or scene.number >= LARGEST:
        first = add(scene)
    b = int(scene.random.integers(1, LARGEST - scene.number + 1))
    result = scene.number + b
    lines: list[AnyLine] = [
        *first,
        scene.request("plus_more", b=cardinal(b)),
        scene.reply(
            f"Then it's {cardinal(result)}.", f"That makes {cardinal(result)}.", f"{cardinal(result)}.",
            keys=(cardinal(result),),
        ),
    ]  # fmt: skip
    scene.number = result
    return lines


def bigger(scene: Scene) -> list[AnyLine]:
    a, b = (int(number) for number in scene.random.choice(LARGEST + 1, 2, replace=False))
    larger, smaller = cardinal(max(a, b)), cardinal(min(a, b))
    return [
        scene.request("bigger", a=cardinal(a), b=cardinal(b)),
        scene.reply(f"{larger} is bigger.", f"{larger}.", f"{larger} is bigger than {smaller}.", keys=(larger,)),
    ]


def day_after(scene: Scene) -> list[AnyLine]:
    return _neighbour(scene, "day_after", 1, "after")


def day_before(scene: Scene) -> list[AnyLine]:
    return _neighbour(scene, "day_before", -1, "before")


def _neighbour(scene: Scene, kind: str, step: int, word: str) -> list[AnyLine]:
    place = int(scene.random.integers(7))
    day, other = WEEK[place], WEEK[(place + step) % 7]
    return [
        scene.request(kind, day=day),
        scene.reply(f"{other}.", f"It's {other}.", f"The day {word} {day} is {other}.", keys=(other,)),
    ]


def week(scene: Scene) -> list[AnyLine]:
    days = ", ".join(WEEK[:-1]) + f" and {WEEK[-1]}"
    return [scene.request("week"), scene.reply(f"{days}.", f"Sure. {days}.", f"The days are {days}.", keys=WEEK)]


def spell(scene: Scene) -> list[AnyLine]:
    word = scene.one(COMMON_WORDS)
    letters = ", ".join(word.upper())
    return [
        scene.request("spell", word=word),
        scene.reply(f"{letters}.", f"{word} is spelled {letters}.", f"{word}: {letters}.", keys=(letters,)),
    ]


def first_letter(scene: Scene) -> list[AnyLine]:
    word = scene.one(COMMON_WORDS)
    letter = word[0].upper()
    return [
        scene.request("first_letter", word=word),
        scene.reply(
            f"{word} starts with {letter}.", f"With {letter}.", f"The letter {letter}.",
            keys=(
                f"starts with {letter}|begins with {letter}|opens with {letter}|letter {letter}|letter is {letter}"
                f"|=with {letter}|={letter}|=it's {letter}|=that's {letter}|=it is {letter}|=that is {letter}",
            ),
        ),
    ]  # fmt: skip


def repeat(scene: Scene) -> list[AnyLine]:
    sentence = scene.line(SENTENCES)
    return [scene.request("repeat", sentence=sentence), scene.reply(sentence, keys=(sentence,))]


def transcribe(scene: Scene) -> list[AnyLine]:
    """From the command on the agent writes what is said, and says nothing, until it is told to stop."""
    lines: list[AnyLine] = [
        scene.request("transcribe"),
        scene.reply(
            "Okay, I'm writing.", "Go ahead.", "I'm ready.", keys=("okay|ok|go ahead|ready|writing|sure|all right",)
        ),
    ]
    sentences = scene.usable(SENTENCES)
    dictated = scene.random.choice(len(sentences), int(scene.random.integers(1, 4)), replace=False)
    lines += [
        UserSpeaks(pieces=(sentences[place],), pause_us=scene.pause_us(700, 1_800), transcribed=True)
        for place in dictated
    ]
    return [
        *lines,
        scene.request("stop_transcribing"),
        scene.reply(
            "Okay, I stopped.", "Done.", "I've stopped writing.", keys=("okay|ok|stopped|stop|done|all right|sure",)
        ),
    ]
