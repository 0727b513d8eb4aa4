"""Stage `audio_encoder`: ears. The streaming encoder learns features from which a linear layer reads letters.

Each position is mapped linearly to the scores of a few moments, and CTC (Graves et al., 2006) compares them with the
text. Nothing but that linear reader stands between features and letters, so what a decoder needs is within its reach.
The encoder may start from Whisper's weights (`scripts/import_whisper_encoder.py`).

Clips begin at a random moment of a tick, at a random level, in noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.audio import AudioEncoder, AudioEncoderConfig
from model.init import init_weights
from model.training.config import LoopConfig
from model.training.data.clip import ClipRecord, SpeechClip, Split
from model.training.data.seeding import random_for
from model.training.data.speech_set import SpeechSet
from model.training.registry import Setup
from model.training.spelling import BLANK, NUM_LABELS, labels_of, read_greedily, word_error_rate
from model.training.stage import Loss
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK


@dataclass(frozen=True, slots=True)
class HearingConfig:
    """The options of the stage. Batches are drawn from pools of clips, alike in length, so that little is padding."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=8_000,
            learning_rate=4e-4,
            warmup_steps=300,
            weight_decay=0.01,
            ema_decay=0.999,
            best="word_error_rate",
        )
    )
    start: Path | None = None  # weights to start from, by scripts/import_whisper_encoder.py
    speech: tuple[str, ...] = ()  # sets under DATA/speech; all that are there by default
    clips_per_batch: int = 12
    pool_batches: int = 8
    max_seconds: float = 12.0
    moments_per_position: int = 4  # 48 moments a second with three positions a tick
    gain_db: tuple[float, float] = (-18.0, 6.0)
    noise_db: tuple[float, float] = (-60.0, -8.0)  # of the speech's level
    max_held_out: int = 120  # clips read at each evaluation

    def build(self, setup: Setup) -> "AudioEncoderStage":
        if setup.model.audio_encoder is None:
            raise ValueError(f"the model {setup.model.name!r} has no audio encoder")
        folder = setup.data / "speech"
        sets = [folder / name for name in self.speech] or sorted(path for path in folder.glob("*") if path.is_dir())
        if not sets:
            raise FileNotFoundError(f"no speech in {folder}; build it with model.training.data.build")
        train, held_out = (SpeechSet(*sets, split=split) for split in Split)
        return AudioEncoderStage(setup.model.audio_encoder, self, train, held_out)


class ClipSet(Protocol):
    """What is needed of a `SpeechSet`."""

    records: Sequence[ClipRecord]

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> SpeechClip: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """A batch: whole frames of sound, and the letters in them."""

    pcm_B1T: Tensor
    num_frames: list[int]
    labels: Tensor  # of all clips, one after the other
    num_labels: list[int]
    texts: list[str]


class Reader(nn.Module):
    """The encoder and its linear reader: samples [B, 1, F x 6000] to log probabilities [B, F x P x moments, V]."""

    def __init__(self, config: AudioEncoderConfig, moments_per_position: int) -> None:
        super().__init__()
        self.encoder = AudioEncoder(config)
        self.letters = nn.Linear(config.d_out, moments_per_position * NUM_LABELS)

    def forward(self, pcm_B1T: Tensor) -> Tensor:
        scores_BPX = self.letters(self.encoder(pcm_B1T))
        return scores_BPX.unflatten(-1, (-1, NUM_LABELS)).flatten(1, 2).float().log_softmax(dim=-1)


class AudioEncoderStage:
    """Satisfies `Stage[Spoken]`."""

    unit = "seconds of sound"

    def __init__(
        self,
        encoder: AudioEncoderConfig,
        config: HearingConfig,
        train: ClipSet,
        held_out: ClipSet,
    ) -> None:
        self.config = config
        self.reader = Reader(encoder, config.moments_per_position)
        init_weights(self.reader, config.loop.seed)
        if config.start is not None:
            load_start(self.reader.encoder, config.start)
        self._train, self._held_out = train, held_out
        self._moments_per_frame = encoder.positions_per_frame * config.moments_per_position

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"hear": self.reader}

    def batch(self, index: int) -> Spoken:
        random = random_for("audio_encoder", self.config.loop.seed, index)
        pool_size = self.config.clips_per_batch * self.config.pool_batches
        pool = random.integers(len(self._train), size=pool_size)
        length_of = {number: self._train.records[number].duration_s for number in pool.tolist()}
        fitting = sorted((n for n in length_of if length_of[n] <= self.config.max_seconds), key=length_of.__getitem__)
        first = int(random.integers(max(1, len(fitting) - self.config.clips_per_batch + 1)))
        chosen = fitting[first : first + self.config.clips_per_batch]
        return self._gather([self._train[number] for number in chosen], random)

    def loss(self, phase: str, batch: Spoken, step: int) -> Loss:
        log_probs_BTV = self.reader(batch.pcm_B1T)
        moments = [frames * self._moments_per_frame for frames in batch.num_frames]
        total = F.ctc_loss(
            log_probs_BTV.transpose(0, 1),
            batch.labels,
            torch.tensor(moments),
            torch.tensor(batch.num_labels),
            blank=BLANK,
            zero_infinity=True,  # a clip spoken faster than the moments allow
        )
        return Loss(total, num_units=sum(batch.num_frames) * SAMPLES_PER_TICK / SAMPLE_RATE_HZ)

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        texts, readings = [], []
        every = -(-len(self._held_out) // self.config.max_held_out)
        for number in range(0, len(self._held_out), every):
            clip = self._held_out[number]
            batch = self._gather([clip], None)
            moments = [frames * self._moments_per_frame for frames in batch.num_frames]
            readings += read_greedily(self.reader(batch.pcm_B1T), moments)
            texts.append(clip.text)
        return {"word_error_rate": word_error_rate(texts, readings)}

    def export(self, directory: Path) -> None:
        """`audio_encoder.safetensors` for the model, `reader.safetensors` for evaluation."""
        save_file(dict(self.reader.encoder.state_dict()), directory / "audio_encoder.safetensors")
        save_file(dict(self.reader.letters.state_dict()), directory / "reader.safetensors")

    def _gather(self, clips: Sequence[SpeechClip], random: np.random.Generator | None) -> Spoken:
        """Clips as one batch; disturbed where `random` is given."""
        sounds = [clip.pcm if random is None else self._disturb(clip.pcm, random) for clip in clips]
        num_frames = [-(-len(sound) // SAMPLES_PER_TICK) + 1 for sound in sounds]  # one more, to hear the end out
        pcm_B1T = torch.zeros(len(clips), 1, max(num_frames) * SAMPLES_PER_TICK)
        for row, sound in zip(pcm_B1T, sounds, strict=True):
            row[0, : len(sound)] = torch.from_numpy(sound)
        labels = [labels_of(clip.text) for clip in clips]
        return Spoken(
            pcm_B1T,
            num_frames,
            torch.tensor([label for one in labels for label in one]),
            [len(one) for one in labels],
            [clip.text for clip in clips],
        )

    def _disturb(self, pcm: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        late = np.zeros(random.integers(SAMPLES_PER_TICK), np.float32)
        sound = np.concatenate((late, pcm)) * 10 ** (random.uniform(*self.config.gain_db) / 20)
        level = float(np.sqrt(np.mean(np.square(sound)))) * 10 ** (random.uniform(*self.config.noise_db) / 20)
        noise = random.standard_normal(len(sound), dtype=np.float32)
        if random.random() < 0.5:  # most rooms hum more than they hiss
            noise = np.convolve(noise, np.full(16, 0.25, np.float32), mode="same")
        return np.clip(sound + level * noise, -1.0, 1.0).astype(np.float32)


def load_start(encoder: AudioEncoder, path: Path) -> None:
    """Take what a file has; raise ValueError for weights that do not fit. The projection starts from the seed."""
    missing, unexpected = encoder.load_state_dict(load_file(path), strict=False)
    if unexpected or set(missing) - {"projection.weight"}:
        raise ValueError(f"{path} does not fit the encoder: lacks {sorted(missing)}, has {sorted(unexpected)} besides")
