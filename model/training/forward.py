"""The training forward: packed rows → hidden states → what the heads' targets cost.

The same embedding, decoder and heads that serving steps through the cache, here over whole rows at once; the digits of
an audio frame are teacher-forced. Both heads always take part, also where a batch asks one of them nothing, so that
processes that share weights agree on which of them have gradients.

Shape legend: B rows, T positions of a row, X = B x T, N asked positions, D model width, V joint vocabulary,
K codebooks, S digits of a frame.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.config import ModelConfig
from model.heads import frame_digits
from model.network import Network, TiedHead
from model.training.cross_entropy import cross_entropy_rows, mean_cross_entropy
from model.training.packed_rows import PackedRows
from model.training.stage import Loss

CHUNK_LOGITS = 1 << 24  # logits of the audio head held at once: 64 MiB of float32
NOT_ASKED = -100  # torch's own mark for targets that cost nothing


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The positions where one head has a target: joint ids [N] or codes [N, K], weight and sample number [N]."""

    hidden_ND: Tensor
    target: Tensor
    weight_N: Tensor
    sample_N: Tensor


def asked(network: Network, rows: PackedRows) -> tuple[Asked, Asked]:
    """What the text and image head and the audio head are asked."""
    hidden_XD = hidden_states(network, rows).flatten(0, 1)
    return (
        _asked(hidden_XD, rows.text_BT.flatten(), rows.text_weight_BT, rows.sample_BT),
        _asked(hidden_XD, rows.audio_BTK.flatten(0, 1), rows.audio_weight_BT, rows.sample_BT),
    )


def _asked(hidden_XD: Tensor, target_X: Tensor, weight_BT: Tensor, sample_BT: Tensor) -> Asked:
    at_N = weight_BT.flatten().nonzero().squeeze(1)
    return Asked(hidden_XD[at_N], target_X[at_N], weight_BT.flatten()[at_N], sample_BT.flatten()[at_N])


# --- losses ---------------------------------------------------------------------------------------------------------


def mean_loss(network: Network, rows: PackedRows) -> Loss:
    """The mean cost of a position that is asked something: nats of its id, and nats of its frame by digit.

    Shown apart: nats of an id, and nats of a whole frame.
    """
    text, audio = asked(network, rows)
    text_mean = mean_cross_entropy(
        text.hidden_ND, joint_weight(network), text.target, text.weight_N, num_frozen=num_frozen_rows(network)
    )
    text_weight, audio_weight = text.weight_N.sum(), audio.weight_N.sum()
    audio_sum = (frame_nll(network, audio.hidden_ND, audio.target) * audio.weight_N).sum()
    num_digits = rows.audio_BTK.shape[-1] * len(network.config.audio.factors)
    num_units = int(((rows.text_weight_BT > 0) | (rows.audio_weight_BT > 0)).sum())
    total = (text_mean * text_weight + audio_sum / num_digits) / max(num_units, 1)
    return Loss(total, num_units, {"text": text_mean, "audio": audio_sum / audio_weight.clamp_min(1e-9)})


def nll_by_sample(network: Network, rows: PackedRows) -> Tensor:
    """Weighted nats of everything that each sample is asked, [num_samples]."""
    text, audio = asked(network, rows)
    text_N = cross_entropy_rows(text.hidden_ND, joint_weight(network), text.target) * text.weight_N
    audio_N = frame_nll(network, audio.hidden_ND, audio.target) * audio.weight_N
    nll = text_N.new_zeros(rows.num_samples)
    return nll.index_add(0, text.sample_N, text_N).index_add(0, audio.sample_N, audio_N)


@torch.no_grad()
def is_exact(network: Network, rows: PackedRows) -> Tensor:
    """Whether the most likely id is the target at every position that a sample is asked, bool [num_samples].

    Where that is so, drawing greedily would have written the sample's answer.
    """
    text, _ = asked(network, rows)
    best_N = torch.cat([(part @ joint_weight(network).T).argmax(-1) for part in text.hidden_ND.split(256)])
    wrong = torch.zeros(rows.num_samples, device=best_N.device)
    return wrong.index_add(0, text.sample_N, (best_N != text.target).float()) == 0


# --- the decoder ----------------------------------------------------------------------------------------------------


def hidden_states(network: Network, rows: PackedRows) -> Tensor:
    """What the heads read at every position, [B, T, D]."""
    assert network.decoder is not None, "training needs the decoder that holds its own weights"
    return network.decoder(embed(network, rows), rows.order_BT, rows.mask())


def embed(network: Network, rows: PackedRows) -> Tensor:
    """Decoder inputs [B, T, D], as `Embedding.embed_block` makes them block by block. Float32 also under autocast."""
    embedding = network.embedding
    content_XD = embedding.joint_content(rows.ids_BT).flatten(0, 1)
    content_XD = content_XD.index_copy(0, rows.frame_at_A, embedding.audio(rows.frames_AK).to(content_XD.dtype))
    if len(rows.feature_at_F):
        content_XD = content_XD.index_copy(0, rows.feature_at_F, rows.features_FD.to(content_XD.dtype))
    content_BTD = content_XD.view(*rows.ids_BT.shape, -1)
    return embedding(content_BTD, rows.position_BT, rows.tick_BT, rows.source_BT).to(content_XD.dtype)


# --- the heads ------------------------------------------------------------------------------------------------------


def joint_weight(network: Network) -> Tensor:
    """The text and image head as one matrix [V, D]."""
    return torch.cat((_text_rows(network), network.text_head.extra.weight))


def num_frozen_rows(network: Network) -> int:
    """How many rows of `joint_weight`, from its first on, do not learn."""
    rows_VD = _text_rows(network)
    return 0 if rows_VD.requires_grad else len(rows_VD)


def _text_rows(network: Network) -> Tensor:
    head = network.text_head
    text = network.embedding.text if isinstance(head.text, TiedHead) else head.text
    assert isinstance(text, nn.Embedding | nn.Linear), "packed weights are not trained"
    return text.weight


def frame_nll(network: Network, hidden_ND: Tensor, codes_NK: Tensor) -> Tensor:
    """Nats of audio frames, summed over their digits, float32 [N]. Codes below 0 are No Output."""
    audio = network.config.audio

    def cost(hidden_ND: Tensor, codes_NK: Tensor) -> Tensor:
        digits_NS = frame_digits(codes_NK.clamp_min(0), audio)
        targets_NS = digit_targets(codes_NK, network.config)
        nll_N = hidden_ND.new_zeros(len(hidden_ND), dtype=torch.float32)
        for logits, target_N in zip(frame_logits(network, hidden_ND, digits_NS), targets_NS.unbind(1), strict=True):
            nll_N = nll_N + F.cross_entropy(logits.float(), target_N, reduction="none", ignore_index=NOT_ASKED)
        return nll_N

    if not len(hidden_ND):  # of a made-up row nothing is left but that the head took part
        return cost(hidden_ND.new_zeros(1, hidden_ND.shape[1]), codes_NK.new_zeros(1, audio.num_codebooks))[:0]
    rows = max(CHUNK_LOGITS // (audio.num_codebooks * (sum(audio.factors) + 1)), 1)
    if len(hidden_ND) <= rows:
        return cost(hidden_ND, codes_NK)
    chunks = zip(hidden_ND.split(rows), codes_NK.split(rows), strict=True)
    return torch.cat([checkpoint(cost, hidden, codes, use_reentrant=False) for hidden, codes in chunks])


def frame_logits(network: Network, hidden_ND: Tensor, digits_NS: Tensor) -> list[Tensor]:
    """Logits of each of a frame's S digits, given those before; where No Output can be said it comes last."""
    if network.depth_head is not None:
        return network.depth_head(hidden_ND, digits_NS[:, :-1])
    assert network.audio_head is not None, "a model has one of the two heads"
    return [logits for codebook in network.audio_head(hidden_ND) for logits in codebook]


def digit_targets(codes_NK: Tensor, config: ModelConfig) -> Tensor:
    """What each digit of a frame should be, [N, S]; `NOT_ASKED` where silence leaves nothing to say.

    A depth head says No Output once, with its first digit; independent heads each with their own first digit.
    """
    targets_NS = frame_digits(codes_NK.clamp_min(0), config.audio)
    silence_S = targets_NS.new_full((targets_NS.shape[1],), NOT_ASKED)
    step = len(config.audio.factors) if config.depth is None else len(silence_S)
    silence_S[::step] = config.audio.factors[0]
    return torch.where(codes_NK[:, :1] < 0, silence_S, targets_NS)
