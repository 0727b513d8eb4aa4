"""The GPU benchmark's code path on a model of a few thousand weights."""

import json
import sys

import pytest
import torch

pytest.importorskip("triton", reason="the GPU kernels need Triton: pip install 'omniweave-realtime[cuda]'")

from benchmarks import gpu_decode


def test_a_tiny_model_is_measured_without_a_gpu(triton_device, monkeypatch, capsys):
    if triton_device.type == "cuda":
        pytest.skip("Triton's interpreter is off where there is a GPU")
    monkeypatch.setattr(
        sys, "argv", ["gpu_decode", "--preset", "tiny", "--layers", "1", "--device", "cpu", "--batches", "2"]
    )
    gpu_decode.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["step_ms_b1"] > 0
    assert "CPU" in result["device"]


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_decode"])
    with pytest.raises(SystemExit, match="no CUDA GPU"):
        gpu_decode.main()


def test_the_large_preset_has_80_billion_weights():
    config = gpu_decode.PRESETS["omniweave_80b"]().decoder
    nvfp4 = config.num_layers * gpu_decode.layer_bytes(config, gpu_decode.Fp4Format.NVFP4)
    assert nvfp4 == pytest.approx(77.7e9 * 4.5 / 8, rel=1e-3)  # 4 bits each, and 8 for every 16
    assert gpu_decode.position_bytes(config) == 96 * 64 * 128 * 2 * 2
