"""From a checkpoint on disk to an engine that is ready to step."""

import hashlib
import json
import logging
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from model.backends import CUDA, Backend, install, native_decoder, text_head, triton_decoder
from model.cache import SlotCache
from model.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.engine import CachedDecoder, ModelEngine
from model.kernels.native import NativePool, choose_isa
from model.kernels.native_abi import NativeUnavailable, load
from model.kv_format import KvFormat
from model.network import Network
from model.tokenizers.text import BpeTokenizer, ByteTokenizer, SentencePieceTokenizer, TextTokenizer
from streams.types import EngineInfo

AUTO = "auto"
VOICES = ("default",)

logger = logging.getLogger(__name__)


def load_engine(
    weights: Path, *, backend: str = AUTO, kv_cache: str = AUTO, max_sessions: int = 8, num_threads: int = 2
) -> ModelEngine:
    """Load a checkpoint directory. Raises ValueError or OSError saying what is wrong with it.

    `backend` is a name of `Backend`, or "auto" for the native kernel where it runs; `kv_cache` one of `KvFormat`, or
    "auto" for the backend's best. Sets torch's thread count.
    """
    chosen = choose_backend(backend)
    kv_format = choose_kv_format(kv_cache, chosen)
    # The native kernel has its own threads; two pools on the same cores wait for each other.
    torch.set_num_threads(1 if chosen is Backend.NATIVE else num_threads)
    checkpoint = load_checkpoint(weights)
    config = ModelConfig.from_json(checkpoint.model)
    tokenizer = load_tokenizer(weights, config)
    network = Network(config, with_decoder=not chosen.holds_decoder)
    network.init(checkpoint.init_seed)
    tensors = checkpoint.tensors
    install(network, tensors, chosen)
    network.prepare_for_inference()

    is_native = chosen is Backend.NATIVE
    device = CUDA if chosen is Backend.TRITON else "cpu"
    cache = SlotCache(config.decoder, max_sessions, config.tick.cache_positions, kv_format.dtype, device)
    pool = NativePool(num_threads) if is_native else None
    network.text_head.text = text_head(network, tensors, chosen, pool)
    decoder: CachedDecoder
    if pool is not None:
        decoder = native_decoder(config.decoder, tensors, cache, pool)
    elif chosen is Backend.TRITON:
        decoder = triton_decoder(config.decoder, tensors, cache)
    else:
        assert network.decoder is not None, "built with its decoder above"
        decoder = network.decoder
    abilities = config.abilities
    info = EngineInfo(
        name=config.name,
        max_sessions=max_sessions,
        max_steps_per_tick=config.tick.max_steps,
        weights_hash=checkpoint.weights_hash,
        build_hash=build_hash(chosen, kv_format),
        backend=f"{chosen}-{choose_isa().value}" if is_native else str(chosen),
        hears=abilities.hears,
        sees=abilities.sees,
        speaks=abilities.speaks,
        draws=abilities.draws,
        self_paced=abilities.self_paced,
        voices=VOICES if abilities.speaks else (),
        instructions=config.instructions,
        kv_cache=str(kv_format),
    )
    return ModelEngine(network, decoder, cache, tokenizer, info)


def choose_backend(name: str) -> Backend:
    """The backend of this name; for "auto" the native one, or with one warning the next best."""
    if name != AUTO:
        chosen = Backend(name)
        if chosen is Backend.NATIVE:
            load()
        if chosen is Backend.TRITON:
            check_gpu()
        return chosen
    try:
        load()
    except NativeUnavailable as error:
        logger.warning("%s. Running plain torch instead, which is several times slower.", error)
        return Backend.DEQUANTIZED
    return Backend.NATIVE


def choose_kv_format(name: str, backend: Backend) -> KvFormat:
    """The format of this name; for "auto" the backend's best. Raises ValueError where the backend cannot store it."""
    if name == AUTO:
        return backend.best_kv_format
    kv_format = KvFormat(name)
    if kv_format is KvFormat.INT8 and backend is Backend.TRITON:
        raise ValueError("the triton backend keeps keys and values in bfloat16 only, not in int8")
    return kv_format


def check_gpu() -> None:
    """Raise ValueError saying what the Triton backend lacks here."""
    if not torch.cuda.is_available():
        raise ValueError("the triton backend needs a CUDA GPU, and a torch built for it; torch finds none")
    if find_spec("triton") is None:
        raise ValueError("the triton backend needs Triton: pip install 'omniweave-realtime[cuda]'")


def load_tokenizer(weights: Path, config: ModelConfig) -> TextTokenizer:
    """The text tokenizer stored beside the weights; bytes where none is stored."""
    tokenizer: TextTokenizer
    if (weights / "tokenizer.json").is_file():
        tokenizer = BpeTokenizer.load(weights / "tokenizer.json")
    elif (weights / "tokenizer.model").is_file():
        tokenizer = SentencePieceTokenizer.load(weights / "tokenizer.model")
    else:
        tokenizer = ByteTokenizer()
    if tokenizer.vocab_size > config.vocab.text:
        raise ValueError(f"the tokenizer in {weights} has {tokenizer.vocab_size} ids, the model {config.vocab.text}")
    return tokenizer


def build_hash(backend: Backend, kv_format: KvFormat) -> str:
    """What besides weights and inputs decides the bits of an output: our sources, torch, the kernel, the processor."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for folder in (package, package.parent / "streams"):
        for path in sorted(folder.rglob("*.py")):
            if "training" not in path.parts:
                digest.update(path.relative_to(package.parent).as_posix().encode() + path.read_bytes())
    if backend is Backend.NATIVE:
        for path in sorted((package / "kernels" / "native").glob("*.*")):
            digest.update(path.read_bytes())
    facts = [torch.__version__, torch.backends.cpu.get_cpu_capability(), platform.machine(), str(backend)]
    facts.append(str(kv_format))
    if backend is Backend.TRITON:
        facts += [version("triton"), torch.cuda.get_device_name(), str(torch.version.cuda)]
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()
