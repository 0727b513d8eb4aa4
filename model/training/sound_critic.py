"""A critic of sound: small networks that tell recordings from what a vocoder made, on spectra of several resolutions.

Magnitudes overlap in time, so a phase that is wrong between moments shows in them. Wide strides along frequency keep
it cheap enough for training on a CPU (the idea: UnivNet, arXiv 2106.07889, section 2.3; least-squares losses:
arXiv 1611.04076; matching of features: MelGAN, arXiv 1910.06711).

Shapes: B clips, T samples, N moments, S bins, C channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from model.training.spectral_loss import Resolution, magnitudes

CRITIC_RESOLUTIONS = (Resolution(1_024, 240), Resolution(512, 120), Resolution(256, 60))
COMPRESSION = 0.3  # power of the magnitudes: quiet parts count, silence does not
SLOPE = 0.2  # of the leaky rectifier


class SpectrumCritic(nn.Module):
    """One resolution: [B, T] to opinions [B, 1, N, S'], and the features of every layer."""

    def __init__(self, resolution: Resolution, channels: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.layers = nn.ModuleList(
            (
                nn.Conv2d(1, channels, (3, 9), stride=(1, 4), padding=(1, 4)),
                nn.Conv2d(channels, 2 * channels, (3, 7), stride=(1, 4), padding=(1, 3)),
                nn.Conv2d(2 * channels, 2 * channels, (3, 5), stride=(2, 2), padding=(1, 2)),
                nn.Conv2d(2 * channels, 2 * channels, (3, 3), padding=1),
            )
        )
        self.last = nn.Conv2d(2 * channels, 1, (3, 3), padding=1)

    def forward(self, pcm_BT: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x_BCNS = magnitudes(pcm_BT, self.resolution)[:, None] ** COMPRESSION
        features = []
        for layer in self.layers:
            x_BCNS = F.leaky_relu(layer(x_BCNS), SLOPE)
            features.append(x_BCNS)
        return self.last(x_BCNS), features


class SoundCritic(nn.Module):
    def __init__(self, channels: int = 16, resolutions: tuple[Resolution, ...] = CRITIC_RESOLUTIONS) -> None:
        super().__init__()
        self.critics = nn.ModuleList(SpectrumCritic(resolution, channels) for resolution in resolutions)

    def judging_loss(self, made_BT: torch.Tensor, true_BT: torch.Tensor) -> torch.Tensor:
        """What the critic minimises: recordings should score 1, made sound 0."""
        total = true_BT.new_zeros(())
        for critic in self.critics:
            total = total + (critic(true_BT)[0].float() - 1.0).square().mean()
            total = total + critic(made_BT.detach())[0].float().square().mean()
        return total / len(self.critics)

    def pleasing_losses(self, made_BT: torch.Tensor, true_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the maker minimises: its score's distance from 1, and the distance of features."""
        score_loss, feature_loss = true_BT.new_zeros(()), true_BT.new_zeros(())
        for critic in self.critics:
            score_BNS, made_features = critic(made_BT)
            with torch.no_grad():
                _, true_features = critic(true_BT)
            score_loss = score_loss + (score_BNS.float() - 1.0).square().mean()
            for made, true in zip(made_features, true_features, strict=True):
                distance = (made.float() - true.float()).abs().mean() / true.float().abs().mean().clamp(min=1e-3)
                feature_loss = feature_loss + distance / len(made_features)
        return score_loss / len(self.critics), feature_loss / len(self.critics)
