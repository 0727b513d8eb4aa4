"""Stage `audio_codec`: sound to 64 bits a quarter of a second and back, learned from speech.

A codec on mel bands learns here from bands to bands; its vocoder is the next stage, `vocoder`. The distance is on bands
and on their changes in time, and a linear reader of letters on the decoder's features keeps what was said within reach
of the last layers (CTC). With `recogniser`, what Whisper's encoder hears in the made bands is to be what it hears in
the true ones: at 64 bits much must go, and this says what may. A codec on samples learns as a whole, by the magnitudes
of spectra.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.init import init_weights
from model.tokenizers.audio_codec import CODECS, AudioCodec, CodecConfig
from model.tokenizers.mel_codec import MelCodecConfig
from model.tokenizers.quantizer import GaussianGridQuantizer
from model.training.codec_weights import BANDS, load_parts, save_parts
from model.training.config import LoopConfig, Schedule
from model.training.data.seeding import random_for
from model.training.recogniser import Recogniser
from model.training.registry import Setup
from model.training.spectral_loss import SpectralLoss
from model.training.speech_rows import ClipSet, RowsConfig, SpeechRow, SpeechRows, open_speech
from model.training.spelling import BLANK, NUM_LABELS, labels_of
from model.training.stage import Loss
from streams.types import SAMPLE_RATE_HZ

CHANGE_WEIGHT = 0.5  # of the distance between changes in time, beside that between bands
MOMENTS_PER_PATCH = 2  # 32 letters a second at most, twice what a fast speaker says
HELD_OUT_ROWS = 8
SETTLING_BATCHES = 16  # that statistics of the quantizer's norm are taken over


@dataclass(frozen=True, slots=True)
class AudioCodecConfig:
    """The options of the stage."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=12_000,
            learning_rate=1e-3,
            warmup_steps=150,
            schedule=Schedule.LINEAR_TAIL,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            ema_decay=0.999,
        )
    )
    codec: str | None = None  # speech, light or seed, in place of the preset's own
    rows: RowsConfig = field(default_factory=RowsConfig)
    start: Path | None = None  # weights to start from, of an earlier run of this stage
    rows_per_batch: int = 6
    letters_weight: float = 0.1  # of the reader's loss
    recogniser: Path | None = None  # Whisper's encoder, by scripts/import_whisper_encoder.py
    recogniser_weight: float = 0.5
    recogniser_rows: int = 3  # of a batch, as it costs more than the codec

    def build(self, setup: Setup) -> "AudioCodecStage":
        if self.codec is not None and self.codec not in CODECS:
            raise ValueError(f"no codec is called {self.codec!r}; there are {', '.join(CODECS)}")
        codec = setup.model.audio_codec if self.codec is None else CODECS[self.codec]()
        if codec is None:
            raise ValueError(f"the model {setup.model.name!r} has no audio codec")
        return AudioCodecStage(codec, self, *open_speech(setup.data, self.rows.speech), device=setup.device)


@dataclass(frozen=True, slots=True)
class SpokenRows:
    """A batch: samples [B, 1, F x 6000], and the letters of each row."""

    pcm_B1T: Tensor
    labels: list[list[int]]


class Coder(nn.Module):
    """What learns: the codec without its vocoder, and the reader of letters."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.codec = AudioCodec(config)
        mel = config.mel
        self.letters = nn.Linear(mel.decoder_patches.width, MOMENTS_PER_PATCH * NUM_LABELS) if mel is not None else None
        if mel is not None:
            self.codec.decoder.vocoder.requires_grad_(False)


class AudioCodecStage:
    """Satisfies `Stage[SpokenRows]`."""

    unit = "seconds of sound"

    def __init__(
        self,
        codec: CodecConfig,
        config: AudioCodecConfig,
        train: ClipSet,
        held_out: ClipSet,
        device: torch.device | None = None,
    ) -> None:
        self.config = config
        self.coder = Coder(codec)
        init_weights(self.coder, config.loop.seed)
        if config.start is not None:
            load_parts(self.coder.codec, config.start, self._parts(codec.mel))
        self._train = SpeechRows(train, config.rows)
        self._held_out = SpeechRows(held_out, config.rows)
        self._distance = SpectralLoss()
        self._recogniser = None
        if config.recogniser is not None and codec.mel is not None:
            self._recogniser = Recogniser(config.recogniser, codec.mel.mel).to(device)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"code": self.coder}

    def batch(self, index: int) -> SpokenRows:
        random = random_for("audio_codec", self.config.loop.seed, index)
        return gather([self._train.row(random) for _ in range(self.config.rows_per_batch)])

    def loss(self, phase: str, batch: SpokenRows, step: int) -> Loss:
        num_units = batch.pcm_B1T.numel() / SAMPLE_RATE_HZ
        if self.coder.letters is None:
            out = self.coder.codec(batch.pcm_B1T)
            spectral = self._distance(out.pcm_B1T[:, 0].float(), batch.pcm_B1T[:, 0])
            return Loss(spectral + out.commitment_loss, num_units, {"commitment": out.commitment_loss})
        return self._bands_loss(batch, num_units)

    def _bands_loss(self, batch: SpokenRows, num_units: float) -> Loss:
        codec = self.coder.codec
        with torch.no_grad():
            mel_BNM = codec.encoder.mel(batch.pcm_B1T)
        z_BFD = codec.encoder.forward_mel(mel_BNM).float()
        quantized = codec.quantizer(z_BFD.flatten(0, 1))
        made_BNM, features_BPW = codec.decoder.bands.forward_features(quantized.z_BD.unflatten(0, z_BFD.shape[:2]))
        error_BNM = made_BNM.float() - mel_BNM
        distance, change = error_BNM.abs().mean(), error_BNM.diff(dim=1).abs().mean()
        letters = self._letters_loss(features_BPW, batch.labels)
        total = distance + CHANGE_WEIGHT * change + self.config.letters_weight * letters + quantized.commitment_loss
        parts = {"bands": distance, "change": change, "letters": letters}
        if self._recogniser is not None:
            rows = slice(self.config.recogniser_rows)
            parts["heard"] = self._recogniser.distance(made_BNM[rows], mel_BNM[rows])
            total = total + self.config.recogniser_weight * parts["heard"]
        return Loss(total, num_units, parts)

    def _letters_loss(self, features_BPW: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
        assert self.coder.letters is not None, "a codec on bands has a reader"
        scores_BPV = self.coder.letters(features_BPW).float().unflatten(-1, (MOMENTS_PER_PATCH, -1)).flatten(1, 2)
        return F.ctc_loss(
            scores_BPV.log_softmax(dim=-1).transpose(0, 1),
            torch.tensor([label for row in labels for label in row], device=scores_BPV.device),
            torch.full((len(labels),), scores_BPV.shape[1]),
            torch.tensor([len(row) for row in labels]),
            blank=BLANK,
            zero_infinity=True,
        )

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        self._settle()
        random = random_for("audio_codec", "held out")
        losses, codes = [], []
        for _ in range(HELD_OUT_ROWS):
            batch = gather([self._held_out.row(random)])
            losses.append(float(self.loss("code", batch, 0).total))
            z_BFD = self.coder.codec.encoder(batch.pcm_B1T)
            codes.append(self.coder.codec.quantizer.encode(z_BFD.float().flatten(0, 1)))
        return {"loss": float(np.mean(losses)), "codes_used": len(torch.cat(codes).flatten().unique())}

    @torch.no_grad()
    def export(self, directory: Path) -> None:
        """`audio_codec.safetensors`: the codec, without a vocoder that this stage did not train."""
        self._settle()
        save_parts(self.coder.codec, directory, self._parts(self.coder.codec.config.mel))

    def _parts(self, mel: MelCodecConfig | None) -> tuple[str, ...]:
        return BANDS if mel is not None else ("",)

    def _settle(self) -> None:
        """Statistics of the quantizer's norm for the weights of this moment: averaged weights never had any."""
        codec = self.coder.codec
        if not isinstance(codec.quantizer, GaussianGridQuantizer):
            return
        norm = codec.quantizer.norm
        momentum, training = norm.momentum, norm.training
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
        for index in range(SETTLING_BATCHES):
            norm(codec.encoder(self.batch(-1 - index).pcm_B1T).float().flatten(0, 1))
        norm.momentum = momentum
        norm.train(training)


def gather(rows: Sequence[SpeechRow]) -> SpokenRows:
    """Rows as a batch."""
    pcm_B1T = torch.from_numpy(np.stack([row.pcm for row in rows]))[:, None]
    return SpokenRows(pcm_B1T, [labels_of(" ".join(row.texts)) for row in rows])
