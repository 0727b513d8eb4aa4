"""Sentences we make up: numbers, times, names, spelling, commands and short answers.

`make(kind, random)` draws one. The choices are wide enough that most sentences of a set differ; short answers repeat,
as they do in speech.
"""

from collections.abc import Callable, Sequence

import numpy as np

from model.training.data.text.numerals import cardinal, digits, ordinal, year
from model.training.data.text.sentence import Kind
from model.training.data.text.words import COMMON_WORDS, FIRST_NAMES, LAST_NAMES

Random = np.random.Generator

_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_HOME = ["kitchen", "bedroom", "hallway", "bathroom", "garage", "office", "basement", "garden"]
_ROOMS = [*_HOME, "living room", "dining room"]
_DEVICES = ["light", "lamp", "fan", "heater", "radio", "television", "speaker", "coffee machine", "air conditioner"]
_COLORS = ["red", "green", "blue", "yellow", "orange", "purple", "white", "black", "brown", "pink", "gray"]
_PLACES = ["station", "airport", "library", "hospital", "post office", "museum", "bakery", "school", "park", "market"]
_UNITS = ["minutes", "hours", "days", "weeks", "months", "miles", "meters", "pounds", "cups", "degrees"]
_ITEMS = [f"{word}s" for word in COMMON_WORDS if word[-1] not in "sxyh"]

_ANSWERS = """Yes.
No.
Sure.
Okay.
Of course.
Not yet.
Maybe.
I think so.
I don't know.
Thank you.
You're welcome.
Good morning.
Good evening.
Good night.
Hello.
Hi there.
Goodbye.
See you later.
One moment, please.
Let me think.
That's right.
That's not right.
Sorry, say that again?
I'm listening.
Go ahead.
I see.
Got it.
No problem.
Just a second.
What do you mean?
Really?
Great!
Sounds good.
I agree.
I'm not sure.
Could you repeat that?
Yes, I can hear you.
No, thank you.
Never mind.
Stop.
Wait a moment.
Please continue.
Here you are.
Done.
All right.
Welcome back.
How can I help?
I can't do that.
I didn't hear you.
Let's go on.
Let's start over.
It's up to you.
I'd be happy to.
Anything else?
That's all.
Exactly.
Certainly.
Absolutely.
Nice to meet you.
Take your time.
Uh-huh.
Tell me more.
Why not?
Who is it?
Where are you?
What is that?
How much is it?
Which one?""".splitlines()


def _one(random: Random, choices: Sequence[str]) -> str:
    return choices[int(random.integers(len(choices)))]


def _number(random: Random) -> int:
    """Small numbers often, large ones at times: the magnitude is drawn first."""
    return int(random.integers(10 ** int(random.choice([1, 2, 2, 3, 4, 6]))))


def _full_name(random: Random) -> str:
    return f"{_one(random, FIRST_NAMES)} {_one(random, LAST_NAMES)}"


def _clock(random: Random) -> str:
    hour, minute = cardinal(int(random.integers(1, 13))), int(random.integers(60))
    style = int(random.integers(5))
    if style == 0:
        return f"{hour} o'clock"
    if style == 1:
        return f"{_one(random, ['half past', 'quarter past', 'quarter to', 'ten past', 'twenty to'])} {hour}"
    spoken_minute = "" if minute == 0 else f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    return f"{hour}{spoken_minute} {_one(random, ['in the morning', 'in the evening', 'a.m', 'p.m'])}"


def _date(random: Random) -> str:
    return f"{_one(random, _MONTHS)} {ordinal(int(random.integers(1, 32)))}"


def _money(random: Random) -> str:
    dollars, cents = int(random.integers(1, 500)), int(random.integers(100))
    tail = f" and {cardinal(cents)} cents" if cents > 1 else ""
    return f"{cardinal(dollars)} {'dollar' if dollars == 1 else 'dollars'}{tail}"


def _phone(random: Random) -> str:
    groups = ["".join(map(str, random.integers(10, size=size))) for size in (3, 3, 4)]
    return ", ".join(digits(group) for group in groups)


def _sum(random: Random) -> str:
    a, b = int(random.integers(1, 100)), int(random.integers(1, 100))
    return _one(
        random,
        [
            f"{cardinal(a)} plus {cardinal(b)} is {cardinal(a + b)}",
            f"{cardinal(a)} times {cardinal(b)} is {cardinal(a * b)}",
            f"{cardinal(a + b)} minus {cardinal(b)} is {cardinal(a)}",
            f"what is {cardinal(a)} plus {cardinal(b)}?",
        ],
    )


def number_sentence(random: Random) -> str:
    """Counts, times, dates, prices, years, sums and telephone numbers."""
    forms: list[Callable[[], str]] = [
        lambda: f"it's {_clock(random)}",
        lambda: f"the meeting starts at {_clock(random)}",
        lambda: f"today is {_one(random, _WEEKDAYS)}, {_date(random)}",
        lambda: f"her birthday is on {_date(random)}",
        lambda: f"that will be {_money(random)}",
        lambda: f"it was built in {year(int(random.integers(1500, 2040)))}",
        lambda: f"in {year(int(random.integers(1500, 2040)))} there were {cardinal(_number(random))} of them",
        lambda: f"there are {cardinal(_number(random))} {_one(random, _ITEMS)} in the {_one(random, _PLACES)}",
        lambda: f"I counted {cardinal(int(random.integers(2, 30)))} {_one(random, _COLORS)} {_one(random, _ITEMS)}",
        lambda: f"the number is {_phone(random)}",
        lambda: f"it's {cardinal(_number(random))} point {digits(str(random.integers(100)))} percent",
        lambda: f"this is the {ordinal(int(random.integers(1, 100)))} time",
        lambda: f"it takes about {cardinal(int(random.integers(2, 90)))} {_one(random, _UNITS)}",
        lambda: _sum(random),
        lambda: ", ".join(cardinal(_number(random)) for _ in range(int(random.integers(3, 7)))),
        lambda: (
            f"flight {digits(str(random.integers(100, 9999)))} leaves from gate {cardinal(int(random.integers(1, 60)))}"
        ),
    ]
    return forms[int(random.integers(len(forms)))]()


def name_sentence(random: Random) -> str:
    """Sentences that carry a person's name."""
    name, first, other = _full_name(random), _one(random, FIRST_NAMES), _one(random, FIRST_NAMES)
    return _one(
        random,
        [
            f"my name is {name}",
            f"this is {first} calling for {other}",
            f"hi {first}, how are you?",
            f"{name} called {_one(random, _WEEKDAYS)} morning",
            f"have you met {name}?",
            f"{first} and {other} are at the {_one(random, _PLACES)}",
            f"please tell {first} that I'll be late",
            f"the {_one(random, _COLORS)} {_one(random, COMMON_WORDS)} belongs to {name}",
            f"good morning, {first}, it's {_clock(random)}",
            f"send a message to {name}",
            f"where does {first} live?",
            f"that was {name}, with {other}",
        ],
    )


def spelling_sentence(random: Random) -> str:
    """Words and names letter by letter, and plain strings of letters."""
    word = _one(random, COMMON_WORDS if random.random() < 0.6 else FIRST_NAMES)
    letters = ", ".join(word.upper())
    strings = ", ".join(chr(65 + int(letter)) for letter in random.integers(26, size=int(random.integers(3, 7))))
    return _one(
        random,
        [
            f"{word} is spelled {letters}",
            f"{letters} spells {word}",
            f"how do you spell {word}?",
            f"{word}: {letters}",
            f"the code is {strings}",
            f"the code is {strings}, {digits(str(random.integers(10, 1000)))}",
            strings,
        ],
    )


def command_sentence(random: Random) -> str:
    """What one tells an assistant to do."""
    room, device, item = _one(random, _ROOMS), _one(random, _DEVICES), _one(random, COMMON_WORDS)
    count = cardinal(int(random.integers(2, 60)))
    return _one(
        random,
        [
            f"turn {_one(random, ['on', 'off'])} the {device} in the {room}",
            f"set a timer for {count} minutes",
            f"wake me up at {_clock(random)}",
            f"remind me to buy a {_one(random, _COLORS)} {item} on {_one(random, _WEEKDAYS)}",
            f"add {count} {_one(random, _ITEMS)} to the list",
            f"how do I get to the {_one(random, _PLACES)}?",
            f"what's the weather like on {_one(random, _WEEKDAYS)}?",
            f"make the {room} {_one(random, _COLORS)}",
            f"draw a {_one(random, _COLORS)} {item} next to a {_one(random, COMMON_WORDS)}",
            f"what is this {_one(random, _COLORS)} {item}?",
            f"show me the {item} and the {_one(random, COMMON_WORDS)}",
            f"play some music in the {room}",
            f"read me the {ordinal(int(random.integers(1, 40)))} page about the {item}",
            f"set the {room} to {count} degrees",
            f"tell me a story about a {item} and a {_one(random, COMMON_WORDS)}",
        ],
    )


def answer_sentence(random: Random) -> str:
    """A short answer, at times two."""
    count = 1 if random.random() < 0.5 else 2
    return " ".join(_ANSWERS[int(choice)] for choice in random.integers(len(_ANSWERS), size=count))


MAKERS: dict[Kind, Callable[[Random], str]] = {
    Kind.NUMBER: number_sentence,
    Kind.NAME: name_sentence,
    Kind.SPELLING: spelling_sentence,
    Kind.COMMAND: command_sentence,
    Kind.ANSWER: answer_sentence,
}


def make(kind: Kind, random: Random) -> str:
    """One sentence of a kind, with a capital at its start and a mark at its end."""
    text = MAKERS[kind](random)
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."
