"""Everyday emoji, by name, from a set of named pictures: things to show to the agent and to ask it to draw."""

from collections.abc import Sequence
from pathlib import Path

from model.training.data.clip import Split
from model.training.data.compose import shown
from model.training.data.named_pictures import picture_split
from model.training.data.picture_set import PictureSet
from streams.types import Pixels

MOST = 50
# What anybody would call these pictures at once. Those that are held out of training drop out.
EVERYDAY: tuple[str, ...] = tuple(
    """airplane alarm-clock ant automobile avocado axe backpack balloon banana bear bell bicycle books bread bus
    butterfly cactus camera candle carrot cat cherries chicken coconut cookie corn cow crab crown cucumber dog
    dolphin door doughnut dragon duck eggplant elephant eye feather fire fox frog ghost glasses grapes guitar
    hammer hamburger hammer horse hourglass jeans kiwi-fruit koala lemon light-bulb lion lobster mango mouse
    mushroom octopus onion orange owl panda peach peanuts pear penguin piano pig pineapple pizza pumpkin rabbit
    rainbow red-apple robot rocket rose sandwich scissors shark sheep shrimp snail snake snowman spider spoon
    strawberry sunflower teddy-bear telephone tent tiger tomato tractor trumpet turtle umbrella unicorn violin
    volcano watch watermelon whale wolf zebra""".split()  # noqa: SIM905
)


class EmojiBook:
    """Pictures of the everyday emoji that a set has. `names` are as one says them."""

    def __init__(self, directory: Path) -> None:
        self._pictures = PictureSet(directory, split=Split.TRAIN)
        self._numbers: dict[str, list[int]] = {}
        wanted = {name for name in EVERYDAY if picture_split(name) is Split.TRAIN}
        for number, record in enumerate(self._pictures.records):
            if record.name in wanted:
                self._numbers.setdefault(record.name.replace("-", " "), []).append(number)
        self.names = tuple(sorted(self._numbers))[:MOST]
        if not self.names:
            raise ValueError(f"{directory} has none of the everyday emoji")

    def paint(self, name: str, seed: int, side_px: int) -> Pixels:
        """The emoji on white, in a style of the seed's choice. Raises ValueError for a name that is not in the book."""
        if name not in self.names:
            raise ValueError(f"no emoji {name!r} in the book")
        styles: Sequence[int] = self._numbers[name]
        return shown(self._pictures[styles[seed % len(styles)]].rgba, side_px)
