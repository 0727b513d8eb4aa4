"""Rotary positions (arXiv:2104.09864), half-split: element e of a head is paired with element e + E/2."""

import torch
from torch import Tensor


def rotary_table(position: Tensor, d_head: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., E/2] in float32. Angles in float64, so position 10⁹ rotates as exactly as position 1."""
    exponent_R = torch.arange(0, d_head, 2, dtype=torch.float64, device=position.device) / d_head
    angle = position.double().unsqueeze(-1) * theta**-exponent_R
    return angle.cos().float(), angle.sin().float()


def apply_rotary(x: Tensor, cos_R: Tensor, sin_R: Tensor) -> Tensor:
    """Rotate [..., heads, E] by the angles of `cos_R` and `sin_R` [..., E/2]."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos_R.unsqueeze(-2), sin_R.unsqueeze(-2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
