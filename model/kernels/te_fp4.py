"""An FP4 linear layer on Blackwell's own FP4 matrix units, through NVIDIA's Transformer Engine (2.15 or newer).

Activations become FP4 too: about 10 % error where bfloat16 has 0.2 %, so this is not a backend of the server,
which was evaluated with wider ones. Each row has its own scales, so that a row does not depend on its company.

Transformer Engine quantizes weights itself. Rounding to nearest gives back the stored values where every block reaches
±6 and the largest scale is 448, as `model.fp4.quantize` makes them; others, such as calibrated ones, are refused.
"""

import torch
from torch import Tensor, nn

from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize

BLACKWELL = (10, 0)  # compute capability
ROW_MULTIPLE = 16  # rows of a call are padded to whole blocks of the matrix units


def check_lossless(packed: PackedFp4) -> None:
    """Raise ValueError unless quantizing what `packed` stands for gives it back."""
    if packed.format is not Fp4Format.NVFP4:
        raise ValueError(f"Transformer Engine's recipe takes NVFP4, not {packed}")
    again = dequantize(quantize(dequantize(packed), packed.format))
    if not torch.equal(again, dequantize(packed)):
        raise ValueError(f"{packed} would be changed by Transformer Engine's own quantization")


class TransformerEngineLinear(nn.Module):
    """y [N, out] = x [N, in] · Wᵀ with both operands in NVFP4. Keeps a bfloat16 copy of the weight beside its own."""

    def __init__(self, packed: PackedFp4) -> None:
        super().__init__()
        check_lossless(packed)
        if not torch.cuda.is_available() or torch.cuda.get_device_capability() < BLACKWELL:
            raise ValueError("NVFP4 matrix units need a GPU of compute capability 10.0 or newer")
        import transformer_engine.pytorch as te
        from transformer_engine.common.recipe import NVFP4BlockScaling

        out, inp = packed.shape
        self._autocast = te.autocast
        self._recipe = NVFP4BlockScaling(
            disable_rht=True, disable_stochastic_rounding=True, disable_2d_quantization=True, row_scaled_activation=True
        )
        self._linear = te.Linear(inp, out, bias=False, params_dtype=torch.bfloat16, device="cuda")
        with torch.no_grad():
            self._linear.weight.copy_(dequantize(packed))
        self._quantizes = True  # the weight, at the first call only

    @torch.inference_mode()
    def forward(self, x_ND: Tensor) -> Tensor:
        """From [N, in] to [N, out] in the dtype of `x_ND`."""
        padded = nn.functional.pad(x_ND.bfloat16(), (0, 0, 0, -len(x_ND) % ROW_MULTIPLE))
        with self._autocast(enabled=True, recipe=self._recipe):
            y = self._linear(padded, is_first_microbatch=self._quantizes)
        self._quantizes = False
        return y[: len(x_ND)].to(x_ND.dtype)
