"""Vectors to codes and back: one integer in [0, codebook_size) per codebook.

Two quantizers behind the same three calls. `encode(z_BD) -> codes_BK` and `decode(codes_BK) -> z_BD` are what runs;
`forward(z_BD) -> Quantized` is what trains: quantized vectors with straight-through gradients, codes and a loss.
`ResidualVQ` learns codebooks, each on what the earlier ones left over; `GaussianGridQuantizer` rounds every dimension
to four levels and learns nothing. Neither draws from the global generator.

A row of `encode` is exact on its own; rows are computed in one product, so a caller that needs a row's bits not to
depend on its neighbours passes the rows one at a time.

Shapes: B vectors, D dimensions, K codebooks, V codes of a codebook, U codes used in a batch.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from model.init import draw, generator_for

GRID_LEVELS = 4  # levels per dimension; 4**8 = 65,536, so eight dimensions make one code of the seed's size
SEARCH_ELEMENTS = 1 << 24  # distances held at once: 64 MiB of float32


class QuantizerKind(StrEnum):
    RESIDUAL = "residual"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class QuantizerConfig:
    """`dim` is the width of the vectors, in and out. The last four fields steer the training of `ResidualVQ` only.

    `revive_below` is relative to even use: a code used less than that share of its fair part is moved to where data is.
    """

    kind: QuantizerKind
    num_codebooks: int
    codebook_size: int
    dim: int
    ema_decay: float = 0.99  # VQ-VAE, arXiv 1711.00937, appendix A.1
    revive_below: float = 0.1
    revive_every: int = 20
    revive_seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_codebooks, self.codebook_size, self.dim, self.revive_every) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        if self.kind is QuantizerKind.GRID:
            dims_per_code = grid_dims_per_code(self.codebook_size)
            if self.dim != self.num_codebooks * dims_per_code:
                raise ValueError(
                    f"{self.num_codebooks} grid codes of {self.codebook_size} take "
                    f"{self.num_codebooks * dims_per_code} dimensions, got {self.dim}"
                )


@dataclass(frozen=True, slots=True)
class Quantized:
    """What a training step needs. `commitment_loss` pulls vectors towards their codes; zero for a grid."""

    z_BD: torch.Tensor
    codes_BK: torch.Tensor
    commitment_loss: torch.Tensor


class ResidualVQ(nn.Module):
    """Nearest neighbour in a learned codebook, then again on what is left, `num_codebooks` times.

    Codebooks follow the data by moving averages, not by gradients; codes that fall out of use are revived at vectors of
    the current batch. Both happen in `forward` in training mode, on one process: codebooks are not averaged between
    processes.
    """

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.num_codebooks, config.codebook_size)
        self.register_buffer("codebooks_KVD", torch.zeros(*shape, config.dim))
        self.register_buffer("usage_KV", torch.ones(shape))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self._norms: tuple[tuple[int, int], torch.Tensor] | None = None

    def init_own(self, generator: torch.Generator) -> None:
        # Halving each stage: what is left after the nearest of many neighbours is smaller than what was there.
        for stage, codebook_VD in enumerate(self.codebooks_KVD):
            draw(codebook_VD, 0.5**stage, generator)
        self.usage_KV.fill_(1.0)
        self.num_steps.zero_()

    @torch.no_grad()
    def encode(self, z_BD: torch.Tensor) -> torch.Tensor:
        codes = []
        residual_BD = z_BD
        for stage, codebook_VD in enumerate(self.codebooks_KVD):
            codes.append(self._nearest(residual_BD, stage))
            residual_BD = residual_BD - codebook_VD[codes[-1]]
        return torch.stack(codes, dim=-1)

    def decode(self, codes_BK: torch.Tensor) -> torch.Tensor:
        check_codes(codes_BK, self.config)
        z_BD = self.codebooks_KVD[0, codes_BK[:, 0]]
        for stage in range(1, self.config.num_codebooks):
            z_BD = z_BD + self.codebooks_KVD[stage, codes_BK[:, stage]]
        return z_BD

    def forward(self, z_BD: torch.Tensor) -> Quantized:
        codes = []
        loss = z_BD.new_zeros(())
        residual_BD, quantized_BD = z_BD, torch.zeros_like(z_BD)
        for stage in range(self.config.num_codebooks):
            codes.append(self._nearest(residual_BD.detach(), stage))
            nearest_BD = self.codebooks_KVD[stage, codes[-1]]  # advanced indexing copies: safe from the update below
            loss = loss + F.mse_loss(residual_BD, nearest_BD) / self.config.num_codebooks
            if self.training:
                self._learn(stage, residual_BD.detach(), codes[-1])
            residual_BD = residual_BD - nearest_BD
            quantized_BD = quantized_BD + nearest_BD
        if self.training:
            self.num_steps += 1
        return Quantized(z_BD + (quantized_BD - z_BD).detach(), torch.stack(codes, dim=-1), loss)

    @torch.no_grad()
    def _nearest(self, z_BD: torch.Tensor, stage: int) -> torch.Tensor:
        """Smallest |z - e|^2 = |z|^2 + 2 (|e|^2 / 2 - z.e), where |z|^2 changes nothing."""
        codebook_VD, half_norms_V = self.codebooks_KVD[stage], self._half_norms()[stage]
        rows = max(1, SEARCH_ELEMENTS // self.config.codebook_size)
        nearest = [
            torch.addmm(half_norms_V, z.to(codebook_VD.dtype), codebook_VD.T, alpha=-1.0).argmin(dim=-1)
            for z in z_BD.split(rows)
        ]
        return torch.cat(nearest)

    def _half_norms(self) -> torch.Tensor:
        """|e|^2 / 2 [K, V], computed again only after the codebooks were written to or moved: it costs a search."""
        version = (self.codebooks_KVD.data_ptr(), self.codebooks_KVD._version)
        if self._norms is None or self._norms[0] != version:
            self._norms = (version, torch.stack([book.square().sum(-1) / 2 for book in self.codebooks_KVD]))
        return self._norms[1]

    @torch.no_grad()
    def _learn(self, stage: int, z_BD: torch.Tensor, codes_B: torch.Tensor) -> None:
        """Moving averages of each code's count and mean. Equal to averaging sums and counts, without storing sums."""
        codebook_VD, usage_V = self.codebooks_KVD[stage], self.usage_KV[stage]
        z_BD = z_BD.to(codebook_VD.dtype)
        used_U, slot_B, count_U = codes_B.unique(return_inverse=True, return_counts=True)
        sums_UD = codebook_VD.new_zeros(len(used_U), z_BD.shape[-1]).index_add_(0, slot_B, z_BD)
        fresh = 1.0 - self.config.ema_decay
        usage_V.mul_(self.config.ema_decay)
        usage_V[used_U] += fresh * count_U
        pull_UD = sums_UD - count_U[:, None] * codebook_VD[used_U]
        codebook_VD[used_U] += fresh * pull_UD / usage_V[used_U, None]
        if (int(self.num_steps) + 1) % self.config.revive_every == 0:
            self._revive(stage, z_BD)

    def _revive(self, stage: int, z_BD: torch.Tensor) -> None:
        """Move the least used codes to vectors of this batch, at most one code to a vector."""
        codebook_VD, usage_V = self.codebooks_KVD[stage], self.usage_KV[stage]
        even = usage_V.mean()
        num_dead = int((usage_V < self.config.revive_below * even).sum())
        num_revived = min(num_dead, len(z_BD))
        if num_revived == 0:
            return
        dead = usage_V.topk(num_revived, largest=False).indices
        generator = generator_for(self.config.revive_seed, f"revive.{int(self.num_steps)}.{stage}")
        chosen = torch.randperm(len(z_BD), generator=generator)[:num_revived].to(z_BD.device)
        codebook_VD[dead] = z_BD[chosen]
        usage_V[dead] = even


class GaussianGridQuantizer(nn.Module):
    """Batch norm, Gaussian CDF, then four even levels in each dimension; eight dimensions make one 65,536-way code.

    What is roughly normal becomes roughly uniform, so the levels are used evenly without a codebook to learn.
    Quantized vectors hold the centres of the levels in [-1, 1]. The first dimension of a code is its lowest digit.
    """

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.BatchNorm1d(config.dim, affine=False)

    def encode(self, z_BD: torch.Tensor) -> torch.Tensor:
        norm = self.norm  # the running statistics, in training mode too: encoding never changes the quantizer
        z_BD = F.batch_norm(z_BD, norm.running_mean, norm.running_var, training=False, eps=norm.eps)
        return self._codes(torch.special.ndtr(z_BD))

    def decode(self, codes_BK: torch.Tensor) -> torch.Tensor:
        check_codes(codes_BK, self.config)
        return level_centres(codes_to_levels(codes_BK, self.config.codebook_size)).to(self.norm.running_mean.dtype)

    def forward(self, z_BD: torch.Tensor) -> Quantized:
        uniform_BD = torch.special.ndtr(self.norm(z_BD))
        codes_BK = self._codes(uniform_BD)
        spread_BD = 2.0 * uniform_BD - 1.0
        centres_BD = level_centres(codes_to_levels(codes_BK, self.config.codebook_size)).to(spread_BD.dtype)
        return Quantized(spread_BD + (centres_BD - spread_BD).detach(), codes_BK, z_BD.new_zeros(()))

    def _codes(self, uniform_BD: torch.Tensor) -> torch.Tensor:
        levels_BD = (uniform_BD * GRID_LEVELS).long().clamp_(0, GRID_LEVELS - 1)
        return levels_to_codes(levels_BD, self.config.codebook_size)


Quantizer: TypeAlias = ResidualVQ | GaussianGridQuantizer


def build_quantizer(config: QuantizerConfig) -> Quantizer:
    return ResidualVQ(config) if config.kind is QuantizerKind.RESIDUAL else GaussianGridQuantizer(config)


def check_codes(codes_BK: torch.Tensor, config: QuantizerConfig) -> None:
    """Codes come from heads and recordings: an id of another model's codebook must not index memory."""
    if codes_BK.ndim != 2 or codes_BK.shape[1] != config.num_codebooks:
        raise ValueError(f"codes must be [B, {config.num_codebooks}], got {list(codes_BK.shape)}")
    if codes_BK.numel():
        low, high = (int(bound) for bound in codes_BK.aminmax())
        if low < 0 or high >= config.codebook_size:
            raise ValueError(f"codes must be in [0, {config.codebook_size}), got {low if low < 0 else high}")


# --- the grid's arithmetic: a code as digits in base four -----------------------------------------------------------


def grid_dims_per_code(codebook_size: int) -> int:
    """How many four-level dimensions make one code."""
    dims = 0
    while GRID_LEVELS**dims < codebook_size:
        dims += 1
    if GRID_LEVELS**dims != codebook_size or dims == 0:
        raise ValueError(f"a grid's codebook size must be a power of {GRID_LEVELS}, got {codebook_size}")
    return dims


def levels_to_codes(levels_BD: torch.Tensor, codebook_size: int) -> torch.Tensor:
    """[B, K x dims] levels to [B, K] codes."""
    dims = grid_dims_per_code(codebook_size)
    place = GRID_LEVELS ** torch.arange(dims, device=levels_BD.device)
    return (levels_BD.unflatten(-1, (-1, dims)) * place).sum(-1)


def codes_to_levels(codes_BK: torch.Tensor, codebook_size: int) -> torch.Tensor:
    """[B, K] codes to [B, K x dims] levels."""
    dims = grid_dims_per_code(codebook_size)
    place = GRID_LEVELS ** torch.arange(dims, device=codes_BK.device)
    return (codes_BK[..., None].long() // place % GRID_LEVELS).flatten(-2)


def level_centres(levels: torch.Tensor) -> torch.Tensor:
    """Levels 0..3 to -0.75, -0.25, 0.25, 0.75: the middles of four even parts of [-1, 1]."""
    return (2 * levels + 1).to(torch.float32) / GRID_LEVELS - 1.0
