"""Train on simulated sessions, in the order of tokens that serving uses, silence included.

Every session is tokenized once, by the tokenizers and encoders that will serve, and kept beside the sessions. A batch
holds stretches of sessions as a sliding cache would show them, each at some time of a long session. Tokenizers and
encoders are frozen; the decoder, its embeddings and heads learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from model.config import Abilities
from model.network import PARTS, Network
from model.parts import load_part
from model.presets import EVERYTHING
from model.training.config import LoopConfig
from model.training.corpus import HELD_OUT_FIRST
from model.training.data.clip import Split
from model.training.data.seeding import random_for
from model.training.files import key_of, weights_key
from model.training.language_stage import LanguageStage, held_out_rows, language_network, language_tokenizer
from model.training.live_figures import no_output_figures
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.live_window import any_stretch, moved
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.sample_files import load_sample, save_sample
from model.training.sequences import Sample
from model.training.simulation.store import SessionSet
from model.training.stages.simulate import DIRECTORY

SESSIONS_IN_MEMORY = 64
SAMPLE_VERSION = 2  # of what a session is as a sample: raise it where that changes, so that kept ones are made anew


@dataclass(frozen=True, slots=True)
class RealtimeConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=3e-4))
    rows: RowsConfig = field(default_factory=lambda: RowsConfig(rows=4, positions=512))
    silence: SilenceWeights = field(default_factory=SilenceWeights)
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none
    parts: Path | None = None  # a checkpoint or a directory of exports; without one they are untrained
    abilities: Abilities = EVERYTHING  # streams and heads that take part
    sessions: tuple[str, ...] = (DIRECTORY,)  # directories below the data directory
    words_learn: bool = True  # the table of text ids; frozen, what it knows of unused words stays
    last_layers: int | None = None  # layers of the decoder that learn, and no embeddings then; None for all
    max_shift_ticks: int = 2_400  # a stretch is placed up to this much later than it was: ten minutes

    def build(self, setup: Setup) -> "RealtimeStage":
        """Raises ValueError or OSError saying what is wrong with weights or sessions."""
        num_layers = setup.model.decoder.num_layers
        if self.last_layers is not None and not 1 <= self.last_layers <= num_layers:
            raise ValueError(f"of {num_layers} layers the last {self.last_layers} cannot learn")
        model = replace(setup.model, abilities=self.abilities)
        tokenizer = language_tokenizer(model, self.tokenizer)
        senses = senses_of(Network(model, with_decoder=False), self.parts)
        scribe = LiveScribe(senses, tokenizer, self.silence)
        tokens = tokenizer.encode("".join(map(chr, range(32, 1024))))
        key = key_of(SAMPLE_VERSION, weights_key(senses), model.to_json(), tokens, self.silence)
        samples = {
            split: TokenizedSessions([setup.data / name for name in self.sessions], split, scribe, f"tokens-{key}")
            for split in Split
        }

        def sample_of(number: int) -> Sample:
            is_held_out = number >= HELD_OUT_FIRST
            sessions = samples[Split.EVAL if is_held_out else Split.TRAIN]
            random = random_for("stretch", self.loop.seed, number)
            sample = sessions[int(random.integers(len(sessions)))]
            cut = any_stretch(sample, self.rows.positions, random)
            return moved(cut, 0 if is_held_out else int(random.integers(self.max_shift_ticks + 1)))

        network = language_network(model, self.start, self.loop.seed, senses.image_vq)
        if not model.abilities.speaks:
            for part in (network.embedding.audio, network.audio_head, network.depth_head):
                if part is not None:
                    part.requires_grad_(False)  # or weight decay alone would move them
        if not self.words_learn:
            network.embedding.text.requires_grad_(False)
        if self.last_layers is not None:
            network.embedding.requires_grad_(False)
            for layer in network.decoder.layers[: -self.last_layers]:
                layer.requires_grad_(False)
        return RealtimeStage(network, sample_of, held_out_rows(sample_of, self.rows), self.rows)


class RealtimeStage(LanguageStage):
    """A language stage that also tells how well silence is kept."""

    def evaluate(self) -> Mapping[str, float]:
        return {**super().evaluate(), **no_output_figures(self.network, self._held_out)}


class TokenizedSessions(Sequence[Sample]):
    """Sessions as samples, tokenized into `name` beside them when the set is opened unless that was done before."""

    def __init__(self, directories: Sequence[Path], split: Split, scribe: LiveScribe, name: str) -> None:
        self._paths: list[Path] = []
        for directory in directories:
            sessions = SessionSet(directory, split)
            paths = [directory / name / split / f"{path.stem}.safetensors" for path in sessions.paths]
            missing = [number for number, path in enumerate(paths) if not path.exists()]
            for number in tqdm(missing, unit="session", desc=f"tokenizing {directory.name}", disable=not missing):
                save_sample(_written(scribe, sessions, number), paths[number])
            self._paths += paths
        self._load = lru_cache(SESSIONS_IN_MEMORY)(load_sample)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # no slices: a sample may be megabytes
        return self._load(self._paths[index])


def _written(scribe: LiveScribe, sessions: SessionSet, number: int) -> Sample:
    """Raises ValueError naming a session that the model cannot follow."""
    session = sessions[number]
    try:
        return scribe.write(session.windows, session.outputs)
    except ValueError as error:
        raise ValueError(
            f"{sessions.paths[number]}: {error}; where sound paces a session, it takes a model that hears"
        ) from error


@torch.no_grad()
def senses_of(network: Network, parts: Path | None) -> Network:
    """The network with its trained tokenizers and encoders as serving runs them; those of a seed without `parts`.

    Raises ValueError or FileNotFoundError where a part that the network has is missing there or of another shape.
    """
    network.init(seed=0)
    if parts is not None:
        for name in PARTS:
            part: nn.Module | None = getattr(network, name)
            if part is not None:
                load_part(part, parts, name)
    network.prepare_for_inference()
    return network
