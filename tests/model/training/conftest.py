"""What training changes about the whole process is as before when a test file is done."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.encoders.audio import AudioEncoder, whisper_tiny_encoder
from model.init import init_weights


@pytest.fixture(scope="module", autouse=True)
def one_thread_and_denormals_restored() -> Iterator[None]:
    """One thread, as the processes that tests start have: sums are the same bits only with as many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def whisper_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No Whisper: random weights of two layers of width 64, as `scripts/import_whisper_encoder.py` would name them."""
    encoder = AudioEncoder(dataclasses.replace(whisper_tiny_encoder(d_out=8), width=64, num_layers=2, num_heads=1))
    init_weights(encoder, 0)
    path = tmp_path_factory.mktemp("whisper") / "whisper.safetensors"
    save_file({name: v for name, v in encoder.state_dict().items() if not name.startswith("projection")}, path)
    return path
