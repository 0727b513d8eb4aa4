"""Stage `vocoder`: mel bands to sound, for the codec on mel bands, against a critic that tells made sound from true.

Without `codec` it learns on bands of recordings; with it, mostly on what the trained codec makes of them, whose bands
are smoother. The critic joins after `critic_from` steps: sound that is plainly wrong teaches it nothing. A critic alone
makes a vocoder speak clearly and say other words where bands are vague; with `recogniser`, Whisper's encoder is to hear
in the made sound what it hears in the true one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.init import init_weights
from model.tokenizers.audio_codec import AudioCodec, CodecConfig
from model.training.codec_weights import BANDS, VOCODER, load_parts, save_parts
from model.training.config import LoopConfig, Schedule
from model.training.data.seeding import random_for
from model.training.recogniser import Recogniser
from model.training.registry import Setup
from model.training.sound_critic import SoundCritic
from model.training.spectral_loss import SpectralLoss
from model.training.speech_rows import ClipSet, RowsConfig, SpeechRows, open_speech
from model.training.stage import Loss
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK

JUDGED_SAMPLES = 16_800  # 0.7 s of each clip go to the critic, which costs more than the vocoder
SCORE_WEIGHT, FEATURES_WEIGHT = 0.25, 0.5
HELD_OUT_CLIPS = 16


@dataclass(frozen=True, slots=True)
class VocoderStageConfig:
    """The options of the stage."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=10_000,
            learning_rate=1e-3,
            warmup_steps=100,
            schedule=Schedule.LINEAR_TAIL,
            betas=(0.8, 0.98),
            weight_decay=0.01,
            clip_norm=5.0,
            ema_decay=0.999,
        )
    )
    rows: RowsConfig = field(default_factory=RowsConfig)
    start: Path | None = None  # a vocoder to start from, of an earlier run of this stage
    codec: Path | None = None  # the rest of the codec, of stage `audio_codec`
    coded_share: float = 0.8  # of a batch comes through the codec, where there is one
    clips_per_batch: int = 8
    clip_frames: int = 6  # 1.5 s
    critic_from: int = 4_000
    critic_lead: int = 200  # steps that the critic learns alone
    recogniser: Path | None = None  # Whisper's encoder, by scripts/import_whisper_encoder.py
    recogniser_weight: float = 1.0

    def build(self, setup: Setup) -> "VocoderStage":
        if setup.model.audio_codec is None or setup.model.audio_codec.mel is None:
            raise ValueError(f"the model {setup.model.name!r} has no audio codec on mel bands")
        clips = open_speech(setup.data, self.rows.speech)
        return VocoderStage(setup.model.audio_codec, self, *clips, device=setup.device)


class VocoderStage:
    """Satisfies `Stage[Tensor]`: a batch is samples [B, T]."""

    unit = "seconds of sound"

    def __init__(
        self,
        codec: CodecConfig,
        config: VocoderStageConfig,
        train: ClipSet,
        held_out: ClipSet,
        device: torch.device | None = None,
    ) -> None:
        self.config = config
        self.codec = AudioCodec(codec)
        init_weights(self.codec, config.loop.seed)
        self.critic = SoundCritic()
        init_weights(self.critic, config.loop.seed)
        if config.start is not None:
            load_parts(self.codec, config.start, VOCODER)
        if config.codec is not None:
            load_parts(self.codec, config.codec, BANDS)
        self.codec.eval()
        self.late_samples = codec.late_samples
        self._train, self._held_out = SpeechRows(train, config.rows), SpeechRows(held_out, config.rows)
        self._distance = SpectralLoss()
        self._recogniser = None
        if config.recogniser is not None:
            assert codec.mel is not None, "checked when the stage is built"
            self._recogniser = Recogniser(config.recogniser, codec.mel.mel).to(device)
        self._made: dict[int, Tensor] = {}  # by phase "sound" from a batch, for phase "critic" on the same one

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"sound": self.codec.decoder.vocoder, "critic": self.critic}

    def batch(self, index: int) -> Tensor:
        random = random_for("vocoder", self.config.loop.seed, index)
        return torch.from_numpy(np.stack([self._clip(self._train, random) for _ in range(self.config.clips_per_batch)]))

    def loss(self, phase: str, batch: Tensor, step: int) -> Loss:
        num_units = batch.numel() / SAMPLE_RATE_HZ
        true_BT = batch[:, : batch.shape[1] - self.late_samples]
        if phase == "critic":
            made_BT = self._made.pop(id(batch))
            if step < self.config.critic_from:
                idle = sum(parameter.sum() for parameter in self.critic.parameters()) * 0.0
                return Loss(idle, num_units)
            return Loss(self.critic.judging_loss(*judged(made_BT, true_BT, step)), num_units)
        made_BT = self._make(batch)
        self._made[id(batch)] = made_BT.detach()
        total = spectral = self._distance(made_BT, true_BT)
        parts = {"spectral": spectral}
        if self._recogniser is not None:
            mel_BNM, true_BNM = (self.codec.encoder.mel(pcm_BT[:, None]) for pcm_BT in (made_BT, true_BT))
            parts["heard"] = self._recogniser.distance(mel_BNM, true_BNM)
            total = total + self.config.recogniser_weight * parts["heard"]
        if step >= self.config.critic_from + self.config.critic_lead:
            parts["score"], parts["features"] = self.critic.pleasing_losses(*judged(made_BT, true_BT, step))
            total = total + SCORE_WEIGHT * parts["score"] + FEATURES_WEIGHT * parts["features"]
        return Loss(total, num_units, parts)

    def _make(self, pcm_BT: Tensor) -> Tensor:
        """Sound from the bands of `pcm_BT`, in step with it. Clips have no past, so that a start is learned too."""
        made_B1T = self.codec.decoder.vocoder(self._bands(pcm_BT))
        return made_B1T[:, 0, self.late_samples :].float()

    @torch.no_grad()
    def _bands(self, pcm_BT: Tensor) -> Tensor:
        mel_BNM = self.codec.encoder.mel(pcm_BT[:, None])
        if self.config.codec is None:
            return mel_BNM
        coded = round(len(mel_BNM) * self.config.coded_share)
        z_BFD = self.codec.encoder.forward_mel(mel_BNM[:coded]).float()
        codes_BK = self.codec.quantizer.encode(z_BFD.flatten(0, 1))
        z_BFD = self.codec.quantizer.decode(codes_BK).unflatten(0, z_BFD.shape[:2])
        made_BNM, _ = self.codec.decoder.bands.forward_features(z_BFD)
        return torch.cat((made_BNM.float(), mel_BNM[coded:]))

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        random = random_for("vocoder", "held out")
        pcm_BT = torch.from_numpy(np.stack([self._clip(self._held_out, random) for _ in range(HELD_OUT_CLIPS)]))
        true_BT = pcm_BT[:, : pcm_BT.shape[1] - self.late_samples]
        return {"loss": float(self._distance(self._make(pcm_BT), true_BT))}

    def export(self, directory: Path) -> None:
        """`audio_codec.safetensors`: the whole codec, or the vocoder alone where it was trained without one."""
        save_parts(self.codec, directory, VOCODER if self.config.codec is None else ("",))

    def _clip(self, rows: SpeechRows, random: np.random.Generator) -> NDArray[np.float32]:
        pcm = rows.row(random).pcm
        length = self.config.clip_frames * SAMPLES_PER_TICK
        start = int(random.integers(len(pcm) - length + 1))
        return pcm[start : start + length]


def judged(made_BT: Tensor, true_BT: Tensor, step: int) -> Sequence[Tensor]:
    """The same part of both, another one at every step."""
    room = max(0, made_BT.shape[1] - JUDGED_SAMPLES)
    start = int(random_for("judged", step).integers(room + 1))
    return tuple(pcm_BT[:, start : start + JUDGED_SAMPLES] for pcm_BT in (made_BT, true_BT))
