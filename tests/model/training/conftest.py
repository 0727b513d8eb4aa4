"""What training changes about the whole process is as before when a test file is done."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread_and_denormals_restored() -> Iterator[None]:
    """One thread, as the processes that tests start have: sums are the same bits only with as many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
