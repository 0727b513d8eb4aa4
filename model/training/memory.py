"""What training a preset takes: memory per GPU for plans of sharding, and tokens per second at a stated utilisation.

    python -m model.training.memory --preset omniweave_80b [--tokens 4096] [--tensor 8] [--peak-tflops 989] ...

Calculated, not run: weights are counted on the meta device, activations from what autograd would keep of one decoder
layer of fake tensors. The plans are those of `parallel.py`: weights, gradients and AdamW's moments in float32, sharded
over all GPUs of a plan except that what lies outside of the decoder's layers is not split over a tensor group, and is
gathered whole for the length of a step; layers are gathered in bfloat16, two at a time, and one's gradients are shared
out at a time. Tokenizers of sound and
pictures are not among the weights, since these stages read their codes. Not counted: the allocator's waste and
communication buffers, 5 to 10 GB a GPU in practice.
"""

import sys
from dataclasses import dataclass, replace

import torch
import tyro
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from model.config import DecoderConfig, ModelConfig
from model.decoder import Layer
from model.network import Network
from model.presets import PRESETS
from model.rotary import rotary_table
from model.training.cross_entropy import ROWS_PER_CHUNK

FLOAT32, BFLOAT16 = 4, 2  # bytes
GIB = 1 << 30
MOMENTS = 2  # of AdamW
LAYERS_GATHERED = 2  # the one at work and the next
COLUMNS = (
    *("GPUs", "fsdp x tensor", "weights", "gradients", "optimizer", "gathered", "activations"),
    *("GiB a GPU", "fits", "tokens/s"),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of weights: of all decoder layers, and of everything else that such a stage may train."""

    layers: int
    rest: int

    @property
    def total(self) -> int:
        return self.layers + self.rest


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is laid out, and how much one GPU group takes at once."""

    fsdp: int
    tensor: int
    rows: int = 1  # sequences of a micro-batch
    tokens: int = 4_096  # of a sequence
    recompute: bool = True
    averages: bool = False  # keeps an exponential average of the weights

    @property
    def num_gpus(self) -> int:
        return self.fsdp * self.tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer + self.gathered + self.activations


def sizes_of(config: ModelConfig) -> Sizes:
    """Count a model's weights without building them."""
    with torch.device("meta"):
        network = Network(replace(config, audio_codec=None, image_vq=None))
    assert network.decoder is not None, "built with its decoder"
    layers = sum(parameter.numel() for parameter in network.decoder.layers.parameters())
    return Sizes(layers, sum(parameter.numel() for parameter in network.parameters()) - layers)


def memory_of(config: ModelConfig, plan: Plan) -> Memory:
    """Memory of one GPU at the fullest moment of a step: the end of the forward pass."""
    sizes, decoder = sizes_of(config), config.decoder
    shard = sizes.layers / plan.num_gpus + sizes.rest / plan.fsdp
    one_layer = sizes.layers / decoder.num_layers / plan.tensor
    gathered = 0.0
    if plan.num_gpus > 1:
        gathered += one_layer * (LAYERS_GATHERED * BFLOAT16 + BFLOAT16 + FLOAT32)  # weights; gradients, and their sums
        gathered += 2 * sizes.rest * FLOAT32  # weights, and gradients until they are shared
    logits = ROWS_PER_CHUNK * (config.vocab.text + config.vocab.num_extra) * BFLOAT16
    return Memory(
        weights=shard * FLOAT32,
        gradients=shard * FLOAT32,
        optimizer=shard * FLOAT32 * (MOMENTS + plan.averages),
        gathered=gathered,
        activations=activations_of(decoder, plan) + 2 * logits,
    )


def activations_of(decoder: DecoderConfig, plan: Plan) -> int:
    """Bytes that the decoder's layers keep for the backward pass."""
    kept = layer_activations(decoder, plan)
    if not plan.recompute:
        return kept * decoder.num_layers
    inputs = plan.rows * plan.tokens * decoder.d_model * FLOAT32
    return inputs * decoder.num_layers + kept  # one layer's at a time is computed again


def layer_activations(decoder: DecoderConfig, plan: Plan) -> int:
    """Bytes that autograd keeps of one layer, weights left out: each storage counted once."""
    share = replace(
        decoder,
        num_heads=decoder.num_heads // plan.tensor,
        num_kv_heads=decoder.num_kv_heads // plan.tensor,
        d_ffn=decoder.d_ffn // plan.tensor,
    )
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no address is used twice
        return tensor

    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16):
        layer = Layer(share)
        for part in layer.modules():  # as FSDP gathers them
            for name, weight in part.named_parameters(recurse=False):
                setattr(part, name, nn.Parameter(weight.detach().bfloat16()))
        weights = {parameter.untyped_storage()._cdata for parameter in layer.parameters()}
        x = torch.empty((plan.rows, plan.tokens, decoder.d_model), requires_grad=True)
        position = torch.empty((plan.rows, plan.tokens), dtype=torch.long)
        cos, sin = rotary_table(position, decoder.d_head, decoder.rope_theta)
        shared = weights | {cos.untyped_storage()._cdata, sin.untyped_storage()._cdata}
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            layer(x, cos, sin, None)
        return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in shared)


def flops_per_token(config: ModelConfig, tokens: int) -> float:
    """Multiplications and additions of one token's forward and backward pass: 6 per weight, and causal attention.

    Weights are those that text goes through: the decoder's matrices, the fuse and the text head. A sequence of
    `tokens` sees half of itself on average. What `recompute` does again is not counted as work.
    """
    decoder = config.decoder
    width = decoder.d_model
    attention = 2 * width * decoder.d_head * (decoder.num_heads + decoder.num_kv_heads)
    layer = attention + 3 * width * decoder.d_ffn
    encoding = config.encoding
    fuse = (width + encoding.position_dim + encoding.time_dim + 1) * width
    matrices = decoder.num_layers * layer + fuse + config.vocab.text * width
    products = 2 * decoder.num_heads * decoder.d_head * tokens / 2  # of scores and of values
    return 6 * (matrices + decoder.num_layers * products)


def tokens_per_second(config: ModelConfig, plan: Plan, peak_tflops: float, utilisation: float) -> float:
    """Of the whole run, where its GPUs do `utilisation` of their peak in useful work."""
    return plan.num_gpus * peak_tflops * 1e12 * utilisation / flops_per_token(config, plan.tokens)


@dataclass(frozen=True, slots=True)
class Question:
    """What to print a table for."""

    preset: str = "omniweave_80b"
    tokens: int = 4_096  # of a sequence
    rows: int = 1  # sequences of a micro-batch
    tensor: tuple[int, ...] = (1, 8)  # processes that share a layer's matrices
    gpus: tuple[int, ...] = (8, 32, 64, 128, 256, 512, 1_024)
    keep_activations: bool = False  # of all layers, instead of computing them again
    averages: bool = False  # keep averaged weights
    memory_gb: float = 80.0  # of one GPU
    peak_tflops: float = 989.0  # dense bfloat16 of an H100 SXM, NVIDIA's data sheet
    utilisation: float = 0.4  # share of the peak; 0.38 to 0.43 is reported for Llama 3 405B (arXiv:2407.21783, table 4)


def table(question: Question) -> str:
    """Plans as a Markdown table."""
    if question.preset not in PRESETS:
        raise ValueError(f"no preset {question.preset!r}; there are {', '.join(PRESETS)}")
    config = PRESETS[question.preset]()
    sizes = sizes_of(config)
    lines = [
        f"{question.preset}: {sizes.total / 1e9:.2f} billion weights, {sizes.layers / 1e9:.2f} of them in layers; "
        f"{flops_per_token(config, question.tokens) / 1e9:,.1f} GFLOP a token at {question.tokens:,}; micro-batch "
        f"{question.rows} x {question.tokens:,}; {question.utilisation:.0%} of {question.peak_tflops:,.0f} TFLOP/s",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for num_gpus in question.gpus:
        for tensor in question.tensor:
            if num_gpus % tensor or config.decoder.num_kv_heads % tensor or config.decoder.d_ffn % tensor:
                continue
            plan = Plan(
                num_gpus // tensor,
                tensor,
                question.rows,
                question.tokens,
                not question.keep_activations,
                question.averages,
            )
            memory = memory_of(config, plan)
            parts = (memory.weights, memory.gradients, memory.optimizer, memory.gathered, memory.activations)
            speed = tokens_per_second(config, plan, question.peak_tflops, question.utilisation)
            lines.append(
                f"| {num_gpus:,} | {plan.fsdp} x {plan.tensor} | "
                + " | ".join(f"{part / GIB:,.1f}" for part in (*parts, memory.total))
                + f" | {'yes' if memory.total <= question.memory_gb * 1e9 else 'no'} | {speed:,.0f} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    try:
        print(table(tyro.cli(Question, args=arguments, prog="python -m model.training.memory", description=__doc__)))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
