"""Write synthetic realtime sessions: scripts, spoken and laid out in time on the five streams, as recordings.

Sessions go below the data directory, where the stage `realtime` reads them. A session depends on the plan, its split
and its number alone: what is there already is kept, so a run that was killed goes on where it was, and several runs
with other `--first` may fill one directory.
"""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec
from tqdm import tqdm

from model.config import ModelConfig
from model.training.data.clip import Split
from model.training.registry import Setup
from model.training.simulation.cast import Cast, check_voices, training_voices
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.playwright import Playbill, write_script
from model.training.simulation.session import simulate
from model.training.simulation.store import VERSION, Plan, check_plan, path_of, read_session, write_session
from model.training.simulation.timeline import draw

DIRECTORY = "sessions"  # below the data directory, unless named otherwise


@dataclass(frozen=True, slots=True)
class SimulateConfig:
    """How many sessions, in which voices. Voices are named `engine/voice`; `tones/...` are stand-ins, not speech."""

    sessions: int = 100  # for training
    eval_sessions: int = 20  # with held-out phrasings, and held-out voices where there are any
    first: int = 0  # number of the first session of either split
    seed: int = 0
    agent_voices: tuple[str, ...] = ("tones/low", "tones/high")  # the first one is the default
    user_voices: tuple[str, ...] = ("tones/middle", "tones/bright")
    held_out_voices: tuple[str, ...] = ()  # of users, in evaluation only
    exchanges: int = 7  # requests of a session, about
    emoji: Path | None = None  # a set of named pictures, of which everyday ones are shown and drawn
    dialogues: Path | None = None  # JSON lines of dialogues that a language model wrote
    dialogue_share: float = 0.1  # of the exchanges, where there are dialogues
    spoken: bool = True  # else users type, the agent writes and draws, and the microphone is closed
    into: str = DIRECTORY  # directory below the data directory
    assets: Path = Path("data/assets")  # packages that speech engines need

    def build(self, setup: Setup) -> "SimulateStage":
        """Raises ValueError for voices that are unknown or held out, or where another plan filled the directory."""
        if self.sessions < 0 or self.eval_sessions < 0 or self.first < 0 or self.exchanges < 1:
            raise ValueError(f"sessions are counted from 0 and hold at least one exchange, got {self}")
        training_voices(self.agent_voices + self.user_voices)
        check_voices(self.held_out_voices)
        return SimulateStage(self, setup.data / self.into, setup.model)


class SimulateStage:
    """A job: writes recordings, and a picture of the first one into its own directory."""

    def __init__(self, config: SimulateConfig, directory: Path, model: ModelConfig) -> None:
        self._config = config
        self._directory = directory
        written = config.dialogues.read_bytes() if config.dialogues is not None else b""
        self._dialogues = tuple(
            msgspec.json.decode(line, type=tuple[tuple[str, str], ...]) for line in written.splitlines() if line
        )
        self._book = EmojiBook(config.emoji) if config.emoji is not None else None
        self._plan = Plan(
            version=VERSION,
            seed=config.seed,
            agent_voices=config.agent_voices,
            user_voices=config.user_voices,
            held_out_voices=config.held_out_voices,
            instructions=model.instructions,
            num_exchanges=config.exchanges,
            drawing_ticks=drawing_ticks_of(model),
            emoji=self._book.names if self._book is not None else (),
            dialogues=blake2b(written, digest_size=8).hexdigest() if written else "",
            dialogue_share=config.dialogue_share if written else 0.0,
            spoken=config.spoken,
        )
        check_plan(directory, self._plan)

    def run(self, out_dir: Path) -> str:
        config, cast = self._config, Cast(self._config.assets)
        wanted = [
            (split, config.first + number)
            for split, count in ((Split.TRAIN, config.sessions), (Split.EVAL, config.eval_sessions))
            for number in range(count)
        ]
        num_made, seconds = 0, 0.0
        with tqdm(wanted, unit="session", desc="simulate") as bar:
            for split, index in bar:
                path = path_of(self._directory, split, index)
                if not path.exists():
                    script = write_script(self._bill(split), split, index)
                    session = simulate(script, cast, self._plan.drawing_ticks, self._book)
                    write_session(session, path)
                    num_made += 1
                    seconds += session.duration_s
        kept = len(wanted) - num_made
        said = f"{self._directory}: {num_made} sessions made, {seconds / 60:.1f} minutes; {kept} were there"
        if wanted:
            first = path_of(self._directory, *wanted[0])
            out_dir.mkdir(parents=True, exist_ok=True)
            stored = read_session(first)
            draw(stored.story, list(stored.windows), list(stored.outputs), out_dir / "timeline.png")
            said += f"; {out_dir / 'timeline.png'} shows {first.name}"
        return said

    def _bill(self, split: Split) -> Playbill:
        plan = self._plan
        return Playbill(
            seed=plan.seed,
            agent_voices=plan.agent_voices,
            user_voices=plan.held_out_voices or plan.user_voices if split is Split.EVAL else plan.user_voices,
            instructions=plan.instructions,
            num_exchanges=plan.num_exchanges,
            dialogues=self._dialogues,
            emoji=plan.emoji,
            dialogue_share=plan.dialogue_share,
            spoken=plan.spoken,
        )


def drawing_ticks_of(model: ModelConfig) -> int:
    """How long a model needs for a picture: its ids, two delimiters and the end of the turn, and a tick of leeway."""
    num_ids = model.image_vq.num_ids if model.image_vq is not None else 0
    return -(-(num_ids + 3) // model.tick.max_steps) + 1
