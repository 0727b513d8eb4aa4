"""How far one sound is from another, by the magnitudes of their spectra at several resolutions.

Phases are free: many waveforms sound the same, and a vocoder that hears only mel bands cannot know which was meant.

Shapes: B clips, T samples, N moments, S bins.
"""

from dataclasses import dataclass

import torch
from torch import nn

FLOOR = 1e-3  # of a magnitude where a full-scale sine has 1: the logarithm ignores what lies 60 dB below


@dataclass(frozen=True, slots=True)
class Resolution:
    window: int
    hop: int


RESOLUTIONS = (Resolution(2_048, 480), Resolution(1_024, 240), Resolution(512, 120), Resolution(256, 60))


def magnitudes(pcm_BT: torch.Tensor, resolution: Resolution) -> torch.Tensor:
    """[B, T] to [B, N, S]. A full-scale sine has a peak of 1."""
    window_W = torch.hann_window(resolution.window, device=pcm_BT.device)
    windows_BNW = pcm_BT.float().unfold(-1, resolution.window, resolution.hop) * (window_W * 2.0 / window_W.sum())
    spectrum_BNS = torch.fft.rfft(windows_BNW)
    power_BNS = spectrum_BNS.real.square() + spectrum_BNS.imag.square()
    return (power_BNS + 1e-12).sqrt()  # the root of nothing has no gradient


class SpectralLoss(nn.Module):
    """Spectral convergence and logarithmic distance, averaged over resolutions (Parallel WaveGAN, arXiv 1910.11480)."""

    def __init__(self, resolutions: tuple[Resolution, ...] = RESOLUTIONS) -> None:
        super().__init__()
        self.resolutions = resolutions

    def forward(self, made_BT: torch.Tensor, true_BT: torch.Tensor) -> torch.Tensor:
        total = made_BT.new_zeros(())
        for resolution in self.resolutions:
            made_BNS, true_BNS = magnitudes(made_BT, resolution), magnitudes(true_BT, resolution)
            convergence = (made_BNS - true_BNS).norm() / true_BNS.norm().clamp(min=FLOOR)
            distance = ((made_BNS + FLOOR).log() - (true_BNS + FLOOR).log()).abs().mean()
            total = total + convergence + distance
        return total / len(self.resolutions)
