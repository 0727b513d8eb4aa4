"""What a speech recogniser makes of sound, as a distance: two sounds are near when it hears the same in them.

The recogniser is Whisper's encoder as published (arXiv 2212.04356, section 2.2), frozen; only gradients pass through
it. It reads the codec's mel bands, turned into its own: their moments are 10.4 ms apart where it learned on 10 ms,
which it takes for slightly quick speech.

Shapes: B sounds, N moments, P positions (two moments each), M bands, W width.
"""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.transformer import EncoderBlock
from model.tokenizers.mel import CENTRE, SPREAD, MelConfig, mel_bands
from streams.types import SAMPLE_RATE_HZ

BANDS, TOP_HZ, HEAD_WIDTH = 80, 8_000.0, 64  # of every Whisper model up to `large-v2`
WINDOW_GAIN = 100.0  # what its window of 400 samples makes of a full-scale sine, whose peak is 1 for the codec
LEAST_POWER = 1e-10


class Recogniser(nn.Module):
    """Scaled bands [B, N, M] to what each layer hands to the next, [B, P, W]. The last is the encoder's output.

    `path` is a file by `scripts/import_whisper_encoder.py`; its shapes say which size it is. Raises ValueError for a
    file of anything else.
    """

    def __init__(self, path: Path, mel: MelConfig) -> None:
        super().__init__()
        weights = load_file(path)
        if "front.parts.1.conv.weight" not in weights:
            raise ValueError(f"{path} does not hold an encoder by scripts/import_whisper_encoder.py")
        width = weights["front.parts.1.conv.weight"].shape[0]
        d_ffn = weights["body.blocks.0.up.weight"].shape[0]
        num_layers = sum(name.endswith(".up.weight") for name in weights)
        self.convs = nn.ModuleList((nn.Conv1d(BANDS, width, 3, padding=1), nn.Conv1d(width, width, 3, 2, padding=1)))
        self.blocks = nn.ModuleList(EncoderBlock(width, width // HEAD_WIDTH, d_ffn) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.load_state_dict({_own_name(name): value for name, value in weights.items()})
        self.register_buffer("bands_MM", band_change(mel), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, mel_BNM: Tensor) -> list[Tensor]:
        with torch.autocast(mel_BNM.device.type, enabled=False):
            power_BNM = (mel_BNM.float() * SPREAD + CENTRE).exp() @ self.bands_MM
            scaled_BNM = (power_BNM.clamp(min=LEAST_POWER).log10() + 4.0) / 4.0
        x_BWN = scaled_BNM.transpose(1, 2)
        for conv in self.convs:
            x_BWN = F.gelu(conv(x_BWN))
        x_BPW = x_BWN.transpose(1, 2)
        x_BPW = x_BPW + sinusoids(*x_BPW.shape[1:]).to(x_BPW)
        heard = []
        for number, block in enumerate(self.blocks):
            q_BHPE, k_BHPE, v_BHPE = block.project(x_BPW)
            x_BPW = block.finish(x_BPW, F.scaled_dot_product_attention(q_BHPE, k_BHPE, v_BHPE))
            last = number + 1 == len(self.blocks)
            reader = self.norm if last else self.blocks[number + 1].attention_norm  # which tames its few huge channels
            heard.append(reader(x_BPW).float())
        return heard

    def distance(self, made_BNM: Tensor, true_BNM: Tensor) -> Tensor:
        """The mean over layers of `relative_error`: 0 for equal sounds, about 1 for one played backwards."""
        with torch.no_grad():
            wanted = self(true_BNM)
        heard = self(made_BNM)
        return torch.stack([relative_error(*layer) for layer in zip(heard, wanted, strict=True)]).mean()


def relative_error(made: Tensor, true: Tensor) -> Tensor:
    """Squared error by the true one's power."""
    return (made - true).square().mean() / true.square().mean()


def band_change(mel: MelConfig) -> Tensor:
    """[M, bands of the recogniser]: mean powers of the codec's bands, spread evenly over bins, to its bands' powers."""
    ours_MF = mel_bands(mel.bands, mel.window, SAMPLE_RATE_HZ / 2)
    share_MF = ours_MF / ours_MF.sum(dim=0).clamp(min=1e-12)
    theirs_MF = mel_bands(BANDS, mel.window, TOP_HZ)
    return WINDOW_GAIN**2 * share_MF @ theirs_MF.T


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's positions [length, width]: sines, then cosines, of wavelengths from 2 pi to 10,000 times as much."""
    rates_W = (-math.log(10_000.0) / (width // 2 - 1) * torch.arange(width // 2)).exp()
    angles_PW = torch.arange(length)[:, None] * rates_W
    return torch.cat((angles_PW.sin(), angles_PW.cos()), dim=1)


def _own_name(name: str) -> str:
    """The file has the names of our audio encoder, whose front end has four parts."""
    name = name.removeprefix("body.")
    return name.replace("front.parts.1.conv.", "convs.0.").replace("front.parts.3.conv.", "convs.1.")
