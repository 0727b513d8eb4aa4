"""Token blocks become decoder inputs: content, modality position, time and source, concatenated and fused.

Content comes from a table (text and image ids), from the sum of a frame's code rows (sound), or is given (encoder
features). Fusing is one linear map that starts as the identity on the content, so imported text weights keep working.

Shape legend: N positions, K codebooks, F digits of a code, D model width.
"""

import torch
from torch import Tensor, nn

from model.config import AudioVocabConfig, EncodingConfig, VocabConfig
from model.fp4 import PackedFp4, dequantize_rows
from streams.types import TokenBlock


def fourier_features(value: Tensor, width: int, shortest_period: float, longest_period: float) -> Tensor:
    """Integers [...] → sines and cosines [..., width] at geometric periods. Exact for any integer below 2⁵³."""
    num_periods = width // 2
    ratio = longest_period / shortest_period
    exponent = torch.arange(num_periods, dtype=torch.float64, device=value.device) / max(num_periods - 1, 1)
    period = shortest_period * ratio**exponent
    turns = torch.remainder(value.double().unsqueeze(-1) / period, 1.0)
    return torch.cat(((2 * torch.pi * turns).sin(), (2 * torch.pi * turns).cos()), dim=-1).float()


def code_digits(codes: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Codes [...] → their mixed-radix digits [..., F], most significant first."""
    digits = []
    for factor in reversed(factors):
        digits.append(codes % factor)
        codes = codes // factor
    return torch.stack(digits[::-1], dim=-1)


def codes_of_digits(digits: Tensor, factors: tuple[int, ...]) -> Tensor:
    """The inverse of `code_digits`."""
    codes = torch.zeros_like(digits[..., 0])
    for index, factor in enumerate(factors):
        codes = codes * factor + digits[..., index]
    return codes


class AudioEmbedding(nn.Module):
    """Codes [N, K] of audio frames → content [N, D]: one table row per digit of each code, added up.

    The sum of rows equals a linear map of the frame's flattened one-hot codes.
    """

    def __init__(self, config: AudioVocabConfig, d_model: int) -> None:
        super().__init__()
        self.factors = config.factors
        rows_per_codebook = sum(config.factors)
        self.table = nn.Embedding(config.num_codebooks * rows_per_codebook, d_model)
        self.first_row_KF = [
            [codebook * rows_per_codebook + sum(config.factors[:index]) for index in range(len(config.factors))]
            for codebook in range(config.num_codebooks)
        ]

    def forward(self, codes_NK: Tensor) -> Tensor:
        first_row_KF = torch.tensor(self.first_row_KF, device=codes_NK.device)
        return self.table(code_digits(codes_NK, self.factors) + first_row_KF).sum(dim=(-3, -2))


class Fp4Embedding(nn.Module):
    """A table stored in FP4: ids [...] → rows [..., D] float32, unpacked as they are read."""

    def __init__(self, packed: PackedFp4) -> None:
        super().__init__()
        self.packed = packed

    def forward(self, ids: Tensor) -> Tensor:
        return dequantize_rows(self.packed, ids)


class Embedding(nn.Module):
    """Everything between token blocks and the decoder's first layer."""

    def __init__(self, d_model: int, vocab: VocabConfig, audio: AudioVocabConfig, encoding: EncodingConfig) -> None:
        super().__init__()
        self.vocab, self.encoding = vocab, encoding
        self.text: nn.Module = nn.Embedding(vocab.text, d_model)
        self.extra = nn.Embedding(vocab.num_extra - 1, d_model)  # delimiters and image codes; No Output is never fed
        self.audio = AudioEmbedding(audio, d_model)
        self.fuse = nn.Linear(d_model + encoding.position_dim + encoding.time_dim + 1, d_model, bias=False)
        self.reset_fuse()

    def reset_fuse(self) -> None:
        """Identity on the content, nothing of the encodings."""
        with torch.no_grad():
            self.fuse.weight.zero_()
            self.fuse.weight[:, : self.fuse.out_features].fill_diagonal_(1.0)

    def content(self, ids_N: Tensor) -> Tensor:
        """Joint ids [N] → content [N, D]."""
        return self.text(ids_N) if bool((ids_N < self.vocab.text).all()) else self.joint_content(ids_N)

    def joint_content(self, ids: Tensor) -> Tensor:
        """The same for ids [...] without looking at them first: both tables take part whatever the ids are."""
        is_text = ids < self.vocab.text
        text = self.text(torch.where(is_text, ids, 0))
        extra = self.extra(torch.where(is_text, 0, ids - self.vocab.text))
        return torch.where(is_text.unsqueeze(-1), text, extra)

    def forward(self, content: Tensor, position: Tensor, tick: Tensor, source: Tensor) -> Tensor:
        """Content [..., D] with integer modality position, tick and source flag [...] → decoder input [..., D]."""
        config = self.encoding
        periods = (config.shortest_period, config.longest_period)
        parts = (
            content,
            fourier_features(position, config.position_dim, *periods).to(content.dtype),
            fourier_features(tick, config.time_dim, *periods).to(content.dtype),
            source.unsqueeze(-1).to(content.dtype),
        )
        return self.fuse(torch.cat(parts, dim=-1))

    def embed_block(self, block: TokenBlock) -> Tensor:
        """One block → decoder inputs [N, D]."""
        device = self.fuse.weight.device
        if block.ids is not None:
            content = self.content(torch.from_numpy(block.ids).long().to(device))
        elif block.codes is not None:
            content = self.audio(torch.from_numpy(block.codes).long().to(device))
        else:
            assert block.features is not None
            content = torch.from_numpy(block.features).to(device)
        position = torch.arange(block.position, block.position + len(block), device=device)
        return self(
            content.to(self.fuse.weight.dtype),
            position,
            torch.full_like(position, block.tick),
            torch.full_like(position, int(block.source)),
        )
