"""Stage `audio_encoder`: ears. The streaming encoder learns features from which a linear layer reads letters.

Each position is mapped linearly to the scores of a few moments, and CTC (Graves et al., 2006) compares them with the
text. Nothing but that linear reader stands between features and letters, so what a decoder needs is within its reach.
The encoder may start from Whisper's weights (`scripts/import_whisper_encoder.py`), and be taught by them: with
`recogniser`, its latents are to be what Whisper's own encoder, which hears later sound too, makes of the same moments.

Clips begin at a random moment of a tick, and come through rooms, noise and telephones (`data/augment.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.audio import AudioEncoder, AudioEncoderConfig
from model.init import init_weights
from model.parts import reader_file
from model.tokenizers.mel import MelConfig, ScaledMel
from model.training.config import LoopConfig
from model.training.data.augment import AugmentConfig, augmented
from model.training.data.clip import SpeechClip
from model.training.data.seeding import random_for
from model.training.recogniser import Recogniser, relative_error
from model.training.registry import Setup
from model.training.speech_rows import ClipSet, open_speech
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
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    recogniser: Path | None = None  # a Whisper encoder of the same width as teacher, in the format of `start`
    recogniser_weight: float = 1.0
    max_held_out: int = 120  # clips read at each evaluation

    def build(self, setup: Setup) -> "AudioEncoderStage":
        if setup.model.audio_encoder is None:
            raise ValueError(f"the model {setup.model.name!r} has no audio encoder")
        clips = open_speech(setup.data, self.speech)
        return AudioEncoderStage(setup.model.audio_encoder, self, *clips, device=setup.device)


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
        return self.read(self.latents(pcm_B1T))

    def latents(self, pcm_B1T: Tensor) -> Tensor:
        return self.encoder.step_latents(pcm_B1T, self.encoder.initial_state(len(pcm_B1T)))[0]

    def read(self, latents_BTD: Tensor) -> Tensor:
        return self.spell(self.encoder.features(latents_BTD))

    def spell(self, features_BPD: Tensor) -> Tensor:
        scores_BPX = self.letters(features_BPD)
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
        device: torch.device | None = None,
    ) -> None:
        self.config = config
        self.reader = Reader(encoder, config.moments_per_position)
        init_weights(self.reader, config.loop.seed)
        if config.start is not None:
            load_start(self.reader.encoder, config.start)
        self._teacher = None
        if config.recogniser is not None:
            self._teacher = teacher(config.recogniser, encoder).to(device)
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
        latents_BTD = self.reader.latents(batch.pcm_B1T)
        log_probs_BTV = self.reader.read(latents_BTD)
        moments = [frames * self._moments_per_frame for frames in batch.num_frames]
        total = letters = F.ctc_loss(
            log_probs_BTV.transpose(0, 1),
            batch.labels,
            torch.tensor(moments),
            torch.tensor(batch.num_labels),
            blank=BLANK,
            zero_infinity=True,  # a clip spoken faster than the moments allow
        )
        parts = {"letters": letters}
        if self._teacher is not None:
            mel, recogniser = self._teacher
            with torch.no_grad():
                wanted_BTD = recogniser(mel(batch.pcm_B1T))[-1]
            parts["taught"] = relative_error(self.reader.encoder.norm(latents_BTD).float(), wanted_BTD)
            total = total + self.config.recogniser_weight * parts["taught"]
        return Loss(total, sum(batch.num_frames) * SAMPLES_PER_TICK / SAMPLE_RATE_HZ, parts)

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
        """`audio_encoder.safetensors` for the model, its reader for evaluation."""
        save_file(dict(self.reader.encoder.state_dict()), directory / "audio_encoder.safetensors")
        save_file(dict(self.reader.letters.state_dict()), directory / reader_file("audio_encoder"))

    def _gather(self, clips: Sequence[SpeechClip], random: np.random.Generator | None) -> Spoken:
        """Clips as one batch; disturbed where `random` is given."""
        if random is not None:
            clips = [self._disturbed(clip, clips, random) for clip in clips]
        sounds = [clip.pcm for clip in clips]
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

    def _disturbed(self, clip: SpeechClip, batch: Sequence[SpeechClip], random: np.random.Generator) -> SpeechClip:
        """As it might be heard, with the rest of its batch as other people, and late by part of a tick."""
        clip = augmented(clip, random, self.config.augment, [other.pcm for other in batch if other is not clip])
        return replace(clip, pcm=np.pad(clip.pcm, (int(random.integers(SAMPLES_PER_TICK)), 0)))


def teacher(path: Path, encoder: AudioEncoderConfig) -> nn.Sequential:
    """Sound to what Whisper makes of it, once for each latent of `encoder`. Raises ValueError where that cannot be."""
    bands = MelConfig()
    recogniser = Recogniser(path, bands)
    if encoder.latents_per_frame != bands.moments_per_frame // 2 or encoder.width != recogniser.norm.weight.numel():
        raise ValueError(
            f"{path} gives {bands.moments_per_frame // 2} vectors of {recogniser.norm.weight.numel()} a frame, the "
            f"encoder has {encoder.latents_per_frame} of {encoder.width}"
        )
    mel = ScaledMel(bands)
    init_weights(mel, 0)
    return nn.Sequential(mel, recogniser)


def load_start(encoder: AudioEncoder, path: Path) -> None:
    """Take what a file has; raise ValueError for weights that do not fit. The projection starts from the seed."""
    missing, unexpected = encoder.load_state_dict(load_file(path), strict=False)
    if unexpected or set(missing) - {"projection.weight"}:
        raise ValueError(f"{path} does not fit the encoder: lacks {sorted(missing)}, has {sorted(unexpected)} besides")
