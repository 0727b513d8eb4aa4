"""What the language-model stages share: building and starting a network, freezing, the plain loss, export.

`LanguageStage` is a whole stage for those that minimise what their samples' targets cost; they differ in samples and in
what learns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model.checkpoint import CONFIG_NAME, TOKENIZER_NAMES, as_tensor, load_checkpoint
from model.config import ModelConfig
from model.loading import load_tokenizer
from model.network import Network
from model.tokenizers.image_vq import ImageVQ
from model.tokenizers.text import ByteTokenizer, TextTokenizer
from model.training.batches import to_device
from model.training.corpus import HELD_OUT_FIRST
from model.training.forward import mean_loss
from model.training.packed_rows import PackedRows, RowsConfig, fill_rows
from model.training.qat import ORIGINAL, WEIGHT
from model.training.sequences import Sample
from model.training.stage import Loss

WEIGHTS_NAME = "language_model.safetensors"
OWN_SHARE = 0.5  # of an image code's row that is its own and not its vector's


def language_network(model: ModelConfig, start: Path | None, seed: int, image_vq: ImageVQ | None = None) -> Network:
    """The network without tokenizers and encoders, from a seed or from `start` (see `load_language`).

    Where `start` knows text only, the ids that are new to it are laid out as `place_new_ids` says.
    """
    network = Network(replace(model, audio_codec=None, image_vq=None, vision=None, audio_encoder=None))
    network.init(seed)
    if start is not None and "text_head.extra.weight" not in load_language(network, start):
        place_new_ids(network, image_vq, seed)
    return network


def language_tokenizer(model: ModelConfig, directory: Path | None) -> TextTokenizer:
    """The text tokenizer stored in `directory`, bytes for None. Raises ValueError where the model lacks ids for it."""
    if directory is None:
        return ByteTokenizer()
    if not any((directory / name).is_file() for name in TOKENIZER_NAMES):
        raise FileNotFoundError(f"no text tokenizer in {directory}: it has none of {', '.join(TOKENIZER_NAMES)}")
    return load_tokenizer(directory, model)


@torch.no_grad()
def load_language(network: Network, start: Path) -> set[str]:
    """Take weights from an earlier stage's export, or from a checkpoint directory; what those lack stays as it is.

    Returns the names of those taken. Raises ValueError for weights of other shapes and for a file that has none of the
    network's.
    """
    weights: dict[str, Tensor] = {}
    if (start / CONFIG_NAME).is_file():
        for name, stored in load_checkpoint(start).tensors.items():
            weights[name] = as_tensor(stored)
    else:
        weights = load_file(start if start.is_file() else start / WEIGHTS_NAME)
    own = network.state_dict()
    if not own.keys() & weights.keys():
        raise ValueError(f"{start} holds none of the weights of {network.config.name!r}")
    for name, tensor in own.items():
        if name not in weights:
            continue
        if tensor.shape != weights[name].shape:
            raise ValueError(f"{start}: {name} has shape {list(weights[name].shape)}, not {list(tensor.shape)}")
        tensor.copy_(weights[name])
    return own.keys() & weights.keys()


@torch.no_grad()
def place_new_ids(network: Network, image_vq: ImageVQ | None, seed: int) -> None:
    """Give delimiters, image codes and No Output rows like those of words: as far from the words' mean as these are.

    Image codes are spread by their vectors in the tokenizer's codebook, so what looks alike begins alike. For weights
    that know text only; both the rows that are read and those of the head are set.
    """
    embedding, head = network.embedding, network.text_head.extra
    assert isinstance(embedding.text, nn.Embedding), "packed weights are not trained"
    words_VD = embedding.text.weight
    mean_D = words_VD.mean(dim=0)
    distance = (words_VD - mean_D).norm(dim=1).mean()
    generator = torch.Generator().manual_seed(seed)
    rows_XD = torch.randn(head.out_features, words_VD.shape[1], generator=generator)
    if image_vq is not None:
        codes_CE = image_vq.quantizer.codebooks_KVD[0].float()
        codes_CE = (codes_CE - codes_CE.mean(dim=0)) / codes_CE.std(dim=0).clamp_min(1e-6)
        spread_ED = torch.randn(codes_CE.shape[1], words_VD.shape[1], generator=generator)
        first = network.config.vocab.first_image - network.config.vocab.text
        rows_XD[first : first + len(codes_CE)] = (
            codes_CE @ spread_ED + OWN_SHARE * rows_XD[first : first + len(codes_CE)]
        )
    rows_XD = mean_D + distance * F.normalize(rows_XD, dim=1)
    head.weight.copy_(rows_XD)
    embedding.extra.weight.copy_(rows_XD[: len(embedding.extra.weight)])


def learn_only(network: Network, *parts: nn.Module | None) -> None:
    """Freeze all but these parts."""
    network.requires_grad_(False)
    for part in parts:
        if part is not None:
            part.requires_grad_(True)


def save_language(network: Network, directory: Path) -> None:
    """Write `language_model.safetensors`, in full precision also where a run trains through a grid."""
    weights = {name.replace(ORIGINAL, WEIGHT): tensor.contiguous() for name, tensor in network.state_dict().items()}
    directory.mkdir(parents=True, exist_ok=True)
    save_file(weights, directory / WEIGHTS_NAME)


class LanguageStage:
    """Satisfies `Stage[PackedRows]`. `sample_of` makes the sample of a number; training reads the low numbers."""

    unit = "tokens"

    def __init__(
        self,
        network: Network,
        sample_of: Callable[[int], Sample],
        held_out: Sequence[PackedRows],
        rows: RowsConfig,
    ) -> None:
        self.network = network
        self._sample_of = sample_of
        self._held_out = held_out
        self._rows = rows

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> PackedRows:
        return fill_rows(self._sample_of, index, self._rows)

    def loss(self, phase: str, batch: PackedRows, step: int) -> Loss:
        return mean_loss(self.network, batch)

    def evaluate(self) -> Mapping[str, float]:
        return held_out_figures(self.network, self._held_out)

    def export(self, directory: Path) -> None:
        save_language(self.network, directory)


def held_out_rows(sample_of: Callable[[int], Sample], rows: RowsConfig, num_batches: int = 2) -> list[PackedRows]:
    """Batches of samples from `HELD_OUT_FIRST` on."""
    return [fill_rows(lambda number: sample_of(HELD_OUT_FIRST + number), index, rows) for index in range(num_batches)]


@torch.no_grad()
def held_out_figures(network: Network, batches: Sequence[PackedRows]) -> dict[str, float]:
    """The loss and its parts, over all units of the batches."""
    device = network.embedding.fuse.weight.device
    sums: dict[str, float] = {}
    num_units = 0.0
    for batch in batches:
        loss = mean_loss(network, to_device(batch, device))
        num_units += loss.num_units
        for name, value in {"loss": loss.total, **loss.parts}.items():
            sums[name] = sums.get(name, 0.0) + float(value) * loss.num_units
    return {name: value / num_units for name, value in sums.items()}
