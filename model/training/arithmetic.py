"""Sums with their working: problems whose answer is easy step by step and hard at once.

The answer begins with its highest digit, which may depend on every carry. The working adds digit by digit from the
right, each step a digit of the sum and the carry, so that with it each symbol follows from two or three others.
"""

from dataclasses import dataclass

from model.training.data.seeding import random_for, seed_of

HELD_OUT_ONE_IN = 8  # problems, by their numbers
DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Problem:
    question: str
    steps: tuple[str, ...]
    answer: str


def addition(number: int, num_digits: int, base: int, held_out: bool) -> Problem:
    """Two numbers of exactly `num_digits` digits, leading zeros included, to be added in `base`.

    No problem is both held out and for training.
    """
    random = random_for("addition", num_digits, base, number)
    while True:
        left, right = (int(value) for value in random.integers(base**num_digits, size=2))
        if (seed_of("held out", left, right) % HELD_OUT_ONE_IN == 0) == held_out:
            return sum_of(left, right, num_digits, base)


def sum_of(left: int, right: int, num_digits: int, base: int) -> Problem:
    steps, digits, carry = [], [], 0
    rest_left, rest_right = left, right
    for _ in range(num_digits):
        total = rest_left % base + rest_right % base + carry
        carry = total // base
        digits.append(DIGITS[total % base])
        steps.append(f"{DIGITS[total % base]}{carry} ")
        rest_left, rest_right = rest_left // base, rest_right // base
    written = (_written(left, num_digits, base), _written(right, num_digits, base))
    answer = DIGITS[carry] + "".join(reversed(digits))
    return Problem("+".join(written), tuple(steps), f"={answer}")


def _written(value: int, num_digits: int, base: int) -> str:
    return "".join(DIGITS[value // base**place % base] for place in reversed(range(num_digits)))
