"""A script: what a user and the agent do in one session, line by line, before anything is spoken or drawn.

Lines follow each other; each says how long after the line before it begins, or during which part of the agent's speech.
Times become absolute in `staging`, when it is known how long each line takes to say. Plain data: a script travels as
JSON in the recording that is made of it.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from model.training.data.noise import NoiseKind


class PictureKind(StrEnum):
    """What a picture shows, which is also what one asks about it."""

    COLOR = "color"  # a plain surface
    SHAPE = "shape"
    COUNT = "count"  # several of one shape
    DIGIT = "digit"
    WORD = "word"
    THING = "thing"  # an emoji-like drawing of ours
    EMOJI = "emoji"  # a picture of a set


class Picture(msgspec.Struct, frozen=True):
    """A picture by its description; `pictures.paint` makes the pixels. `seed` decides place, size and background."""

    kind: PictureKind
    name: str
    color: str
    count: int = 1
    seed: int = 0


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="line"):
    """Base of what can happen. `pause_us` is the time since the line before ended."""

    pause_us: int = 0


class UserSpeaks(Line, tag="user_speaks", frozen=True, kw_only=True):
    """A request. Between `pieces` the user thinks, `thinks_us` long: too early for an answer.

    `over` is the share of the agent's speech after which the user starts, instead of waiting for its end; the agent
    then stops (`stops_agent`) or goes on, as it does when somebody only says "mm-hm".
    """

    pieces: tuple[str, ...]
    kind: str = ""
    phrasing: str = ""  # the template that `pieces` was made from, for the held-out rule
    thinks_us: int = 0
    over: float | None = None
    stops_agent: bool = False
    transcribed: bool = False  # the agent writes it down while it is spoken

    @property
    def text(self) -> str:
        return " ".join(self.pieces)


class UserTypes(Line, tag="user_types", frozen=True, kw_only=True):
    """A typed message. `asks` for an answer, as most clients do, or leaves it to the agent to give one."""

    text: str
    kind: str = ""
    phrasing: str = ""
    asks: bool = True


class UserShows(Line, tag="user_shows", frozen=True, kw_only=True):
    """Something is held to the camera until the next of these; None switches the camera off."""

    picture: Picture | None


class Sounds(Line, tag="sounds", frozen=True, kw_only=True):
    """A sound in the room that is no request. `level_db` is against full scale."""

    kind: NoiseKind
    duration_us: int
    level_db: float
    seed: int


class Waits(Line, tag="waits", frozen=True, kw_only=True):
    """Nothing happens."""

    duration_us: int


class AgentSpeaks(Line, tag="agent_speaks", frozen=True, kw_only=True):
    """The agent says and writes `text`, at once when it may. `draws` a picture when the text is written.

    `keys` are what an answer in other words must hold to be as good: each a phrase, or several parted by `|` of which
    one is enough. An answer that is itself one word is written `=word`.
    """

    text: str
    draws: Picture | None = None
    aloud: bool = True
    keys: tuple[str, ...] = ()


AnyLine: TypeAlias = UserSpeaks | UserTypes | UserShows | Sounds | Waits | AgentSpeaks


class Room(msgspec.Struct, frozen=True):
    """What surrounds the user, in dB of full scale. `echo_db` is how loud the agent comes back; None: headphones.

    `reverberates` is whether the user speaks from some way off.
    """

    speech_db: float
    noise_db: float
    reverberates: bool
    echo_db: float | None
    echo_delay_us: int
    camera_ticks: int  # ticks between two frames of the camera


class Script(msgspec.Struct, frozen=True):
    """One session. Voices are named `engine/voice`. `voice_text` is what the voice prompt says, "" for no prompt."""

    seed: int
    index: int
    split: str
    instructions: str
    agent_voice: str
    user_voice: str
    voice_text: str
    room: Room
    lines: tuple[AnyLine, ...]


def script_json(script: Script) -> str:
    return msgspec.json.encode(script).decode()


def read_script(text: str) -> Script:
    return msgspec.json.decode(text, type=Script)
