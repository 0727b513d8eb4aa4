"""Numbers in English words, as they are spoken: 1984 as a count, as a year, as digits."""

_ONES = (  # noqa: SIM905
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_ORDINAL_ENDS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """42 → forty-two; 1,305 → one thousand three hundred five."""
    if not 0 <= number < 10**12:
        raise ValueError(f"a number from 0 to a trillion can be spoken, not {number}")
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    for scale, name in _SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return f"{cardinal(count)} {name}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def ordinal(number: int) -> str:
    """3 → third; 21 → twenty-first; 30 → thirtieth."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    if last in _ORDINAL_ENDS:
        return head + _ORDINAL_ENDS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(number: int) -> str:
    """1984 → nineteen eighty-four; 1906 → nineteen oh six; 2003 → two thousand three."""
    century, rest = divmod(number, 100)
    if not 1100 <= number <= 2099:
        raise ValueError(f"years from 1100 to 2099 can be spoken, not {number}")
    if century == 20 and rest < 10:
        return "two thousand" + (f" {cardinal(rest)}" if rest else "")
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(number: str) -> str:
    """The digits one by one: 407 → four zero seven."""
    return " ".join(_ONES[int(digit)] for digit in number)
