"""What the decoder's hidden states predict: a text or image id, and the codes of one audio frame; or No Output.

The text and image head reads the joint vocabulary of `VocabConfig`. The audio head has one sub-head per codebook,
each with its own No Output; a frame is emitted unless the first of them says No Output. Codes are predicted digit by
digit where the vocabulary is factorised. The depth head, optional, predicts them one after the other instead.

Shape legend: N rows, D model width, V joint vocabulary, K codebooks, F digits, M widest digit.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.config import AudioVocabConfig, DecoderConfig, VocabConfig
from model.decoder import Decoder
from model.embedding import code_digits, codes_of_digits


class TextImageHead(nn.Module):
    """Hidden [N, D] → logits [N, V] over text ids, delimiters, image codes and No Output.

    `text` may be tied to the text table. Where a model neither draws nor paces itself, nothing beyond text can ever
    be chosen, and `with_extra` False leaves those logits out: [N, text].
    """

    def __init__(self, d_model: int, vocab: VocabConfig) -> None:
        super().__init__()
        self.text: nn.Module = nn.Linear(d_model, vocab.text, bias=False)
        self.extra = nn.Linear(d_model, vocab.num_extra, bias=False)

    def forward(self, hidden_ND: Tensor, with_extra: bool = True) -> Tensor:
        text = self.text(hidden_ND)
        return torch.cat((text, self.extra(hidden_ND)), dim=-1) if with_extra else text


class AudioHead(nn.Module):
    """Hidden [N, D] → logits per codebook and digit; the last entry of a codebook's first digit is No Output."""

    def __init__(self, d_model: int, config: AudioVocabConfig) -> None:
        super().__init__()
        self.config = config
        self.subheads = nn.ModuleList(
            nn.Linear(d_model, sum(config.factors) + 1, bias=False) for _ in range(config.num_codebooks)
        )

    def forward(self, hidden_ND: Tensor) -> list[list[Tensor]]:
        """Logits [codebook][digit] of [N, factor], the first digit of each codebook with No Output appended."""
        split = [*self.config.factors, 1]
        logits = []
        for subhead in self.subheads:
            *digits, no_output = subhead(hidden_ND).split(split, dim=-1)
            logits.append([torch.cat((digits[0], no_output), dim=-1), *digits[1:]])
        return logits


class DepthHead(nn.Module):
    """A small decoder over the digits of one frame, begun by the large decoder's hidden state.

    The first symbol it predicts carries No Output. Order: codebook by codebook, most significant digit first.
    """

    def __init__(self, d_model: int, audio: AudioVocabConfig, config: DecoderConfig) -> None:
        super().__init__()
        self.audio = audio
        self.widths = [factor for _ in range(audio.num_codebooks) for factor in audio.factors]
        self.condition = nn.Linear(d_model, config.d_model, bias=False)
        self.tables = nn.ModuleList(nn.Embedding(width, config.d_model) for width in self.widths[:-1])
        self.decoder = Decoder(config)
        self.outputs = nn.ModuleList(
            nn.Linear(config.d_model, width + (index == 0), bias=False) for index, width in enumerate(self.widths)
        )

    def forward(self, hidden_ND: Tensor, digits_NS: Tensor) -> list[Tensor]:
        """Logits [N, width] of each digit, given those before it, up to the one after `digits_NS`."""
        known = zip(self.tables, digits_NS.unbind(1), strict=False)
        x_NSD = torch.stack([self.condition(hidden_ND), *(table(digit) for table, digit in known)], dim=1)
        position_NS = torch.arange(x_NSD.shape[1], device=x_NSD.device).expand(len(x_NSD), -1)
        states = self.decoder(x_NSD, position_NS).unbind(1)
        return [output(state) for output, state in zip(self.outputs, states, strict=False)]

    def generate(self, hidden_1D: Tensor, draw: Callable[[Tensor, int], int]) -> Tensor | None:
        """Codes [K] of one frame for one row, or None for No Output. `draw(logits, place)` picks a digit."""
        digits: list[int] = []
        for place, width in enumerate(self.widths):
            known = torch.tensor([digits], dtype=torch.long, device=hidden_1D.device)
            digit = draw(self(hidden_1D, known)[place][0], place)
            if place == 0 and digit == width:
                return None
            digits.append(digit)
        return fold_digits(torch.tensor(digits), self.audio)


def fold_digits(digits_S: Tensor, audio: AudioVocabConfig) -> Tensor:
    """All digits of a frame [K·F] → its codes [K]."""
    return codes_of_digits(digits_S.view(audio.num_codebooks, -1), audio.factors)


def frame_digits(codes_NK: Tensor, audio: AudioVocabConfig) -> Tensor:
    """Codes [N, K] → all digits of the frame [N, K·F], the depth head's order."""
    return code_digits(codes_NK, audio.factors).flatten(-2)
