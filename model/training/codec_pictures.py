"""Spectrograms of sounds under each other, as a PNG."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from streams.types import SAMPLE_RATE_HZ, Samples

WINDOW, HOP = 1_024, 120
QUIETEST_DB = -80.0


def draw_spectra(path: Path, sounds: Mapping[str, Samples], title: str = "") -> None:
    """One panel for each sound, on the same scales."""
    figure = Figure(figsize=(9, 1.9 * len(sounds) + 0.4), layout="constrained")
    panels = figure.subplots(len(sounds), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, pcm) in zip(panels, sounds.items(), strict=True):
        seconds = len(pcm) / SAMPLE_RATE_HZ
        panel.imshow(
            decibels(pcm).T,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, SAMPLE_RATE_HZ / 2_000),
            vmin=QUIETEST_DB,
            vmax=-20.0,
            cmap="magma",
        )
        panel.set_title(name, fontsize=9, loc="left")
        panel.set_ylabel("kHz")
    panels[-1].set_xlabel("seconds")
    if title:
        figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=80)


def decibels(pcm: Samples) -> np.ndarray:
    """[moments, bins] below a full-scale sine."""
    window = np.hanning(WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(pcm, (WINDOW // 2, WINDOW // 2)), WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(windows * (2.0 * window / window.sum())))
    return 20.0 * np.log10(np.maximum(magnitude, 1e-6))
