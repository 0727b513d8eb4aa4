"""Log-mel bands of sound, causal and streaming: what the mel codec codes, and what its vocoder makes sound of.

A moment is `hop` samples; its window ends with it, so nothing waits for later sound. Bands hold the logarithm of mean
power, scaled so that speech lies around zero, with a floor at digital silence.

Shapes: B sessions, T samples, N moments, M bands.
"""

from dataclasses import dataclass

import torch

from model.encoders.audio_front import mel_bands
from model.tokenizers.streaming import Streaming
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK

FLOOR_POWER = 3e-9  # of a band: that of white noise 61 dB below full scale, under the noise of a good microphone
CENTRE = -14.0  # natural logarithm of a band's power: about the mean over speech and pauses
SPREAD = 4.0  # and about its standard deviation


@dataclass(frozen=True, slots=True)
class MelConfig:
    bands: int = 80
    window: int = 1_024
    hop: int = 250  # 10.4 ms: 24 moments a frame

    def __post_init__(self) -> None:
        if self.bands < 1 or not 1 <= self.hop <= self.window:
            raise ValueError(f"sizes must be positive, and the hop no longer than the window: {self}")
        if SAMPLES_PER_TICK % self.hop:
            raise ValueError(f"a hop of {self.hop} does not divide a frame of {SAMPLES_PER_TICK} samples")

    @property
    def moments_per_frame(self) -> int:
        return SAMPLES_PER_TICK // self.hop


class ScaledMel(Streaming):
    """Samples [B, 1, T] to scaled log-mel bands [B, N, M]. The state is the window's earlier samples."""

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window_T", torch.zeros(config.window), persistent=False)
        self.register_buffer("bands_MF", torch.zeros(config.bands, config.window // 2 + 1), persistent=False)

    def init_own(self, generator: torch.Generator) -> None:
        window_T = torch.hann_window(self.config.window)
        self.window_T.copy_(window_T * 2.0 / window_T.sum())  # a full-scale sine has a peak of 1
        bands_MF = mel_bands(self.config.bands, self.config.window, SAMPLE_RATE_HZ / 2)
        self.bands_MF.copy_(bands_MF / bands_MF.sum(dim=1, keepdim=True))

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.window_T.new_zeros(batch, 1, self.config.window - self.config.hop)

    def step(self, pcm_B1T: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen_B1T = torch.cat((state, pcm_B1T), dim=-1)
        with torch.autocast(pcm_B1T.device.type, enabled=False):  # eight bits are too few for a spectrum
            windows_BNT = seen_B1T[:, 0].float().unfold(-1, self.config.window, self.config.hop)
            spectrum_BNF = torch.fft.rfft(windows_BNT * self.window_T)
            power_BNF = spectrum_BNF.real.square() + spectrum_BNF.imag.square()
            mel_BNM = power_BNF @ self.bands_MF.T
            scaled_BNM = (mel_BNM.clamp(min=FLOOR_POWER).log() - CENTRE) / SPREAD
        return scaled_BNM, seen_B1T[..., seen_B1T.shape[-1] - state.shape[-1] :].clone()
