"""Log-mel bands of sound, causal and streaming: what the mel codec codes, and what its vocoder makes sound of.

A moment is `hop` samples; its window ends with it, so nothing waits for later sound. `PowerMel` is what this front end
and that of the audio encoder (`model/encoders/audio_front.py`) have in common; they differ in scale.

Shapes: B sessions, T samples, N moments, M bands, F bins.
"""

import math
from dataclasses import dataclass

import torch

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


class PowerMel(Streaming):
    """Samples [B, 1, T] to the power in each band, [B, N, M]. The state is the window's earlier samples.

    `sine_peak` is the height of a full-scale sine in the spectrum before it is squared.
    """

    def __init__(self, config: MelConfig, top_hz: float, sine_peak: float) -> None:
        super().__init__()
        self.config, self.top_hz, self.sine_peak = config, top_hz, sine_peak
        self.register_buffer("window_T", torch.zeros(config.window), persistent=False)
        self.register_buffer("bands_MF", torch.zeros(config.bands, config.window // 2 + 1), persistent=False)

    def init_own(self, generator: torch.Generator) -> None:
        window_T = torch.hann_window(self.config.window)
        self.window_T.copy_(window_T * 2.0 * self.sine_peak / window_T.sum())
        self.bands_MF.copy_(mel_bands(self.config.bands, self.config.window, self.top_hz))

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.window_T.new_zeros(batch, 1, self.config.window - self.config.hop)

    def step(self, pcm_B1T: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen_B1T = torch.cat((state, pcm_B1T), dim=-1)
        with torch.autocast(pcm_B1T.device.type, enabled=False):  # eight bits are too few for a spectrum
            windows_BNT = seen_B1T[:, 0].float().unfold(-1, self.config.window, self.config.hop)
            spectrum_BNF = torch.fft.rfft(windows_BNT * self.window_T)
            power_BNF = spectrum_BNF.real.square() + spectrum_BNF.imag.square()
            mel_BNM = power_BNF @ self.bands_MF.T
        return mel_BNM, seen_B1T[..., seen_B1T.shape[-1] - state.shape[-1] :].clone()


class ScaledMel(PowerMel):
    """Samples [B, 1, T] to scaled logarithms [B, N, M] of the mean power of each band, up to half the sample rate."""

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config, top_hz=SAMPLE_RATE_HZ / 2, sine_peak=1.0)

    def init_own(self, generator: torch.Generator) -> None:
        super().init_own(generator)
        self.bands_MF.div_(self.bands_MF.sum(dim=1, keepdim=True))

    def step(self, pcm_B1T: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mel_BNM, state = super().step(pcm_B1T, state)
        return (mel_BNM.clamp(min=FLOOR_POWER).log() - CENTRE) / SPREAD, state


def mel_bands(num_bands: int, window: int, top_hz: float) -> torch.Tensor:
    """Triangular filters [bands, window / 2 + 1] of equal area on the mel scale (Slaney's Auditory Toolbox, 1998)."""

    def to_mel(hz: torch.Tensor) -> torch.Tensor:  # linear to 1 kHz, then 27 steps for a factor of 6.4
        return torch.where(hz < 1000, 3 * hz / 200, 15 + 27 * (hz.clamp(min=1000) / 1000).log() / math.log(6.4))

    def to_hz(mel: torch.Tensor) -> torch.Tensor:
        return torch.where(mel < 15, 200 * mel / 3, 1000 * ((mel - 15) * math.log(6.4) / 27).exp())

    top_mel = to_mel(torch.tensor(top_hz, dtype=torch.float64)).item()
    edges_hz = to_hz(torch.linspace(0.0, top_mel, num_bands + 2, dtype=torch.float64))
    bins_hz = torch.arange(window // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / window
    low, mid, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = torch.minimum((bins_hz - low) / (mid - low), (high - bins_hz) / (high - mid)).clamp(min=0.0)
    return (triangles * 2.0 / (high - low)).float()
