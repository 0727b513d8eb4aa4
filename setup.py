"""Builds the native kernels as an optional extension. Everything else about the package is in pyproject.toml.

The extension is a plain shared library, loaded with ctypes, that needs neither Python's nor torch's headers. Each
instruction set path is one source file with compiler flags of its own; which path runs is decided at run time. Where
no C++ compiler works the installation succeeds without the library.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("model/kernels/native")
# No contraction: every path must round each operation alike. The two -fno flags let elementwise loops vectorize.
COMMON_FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
COMMON_FLAGS += ["-fvisibility=hidden", "-pthread", "-g0"]
# GCC 12 warns about its own AVX-512 header.
COMMON_FLAGS += ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
PATH_FLAGS = {"isa_portable": ["-O2"]}  # its many loops over 16 lanes take GCC minutes at -O3
X86_PATH_FLAGS = {
    "isa_avx2": AVX2,
    "isa_avx2_vnni": [*AVX2, "-mavxvnni"],
    "isa_avx512": [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"],
}
ARM_PATH_FLAGS = {"isa_neon": ["-march=armv8.2-a+dotprod"]}


def path_flags() -> dict[str, list[str]]:
    """Extra flags of some sources on this machine. Sources for other machines compile to nothing."""
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64"}:
        return PATH_FLAGS | X86_PATH_FLAGS
    return PATH_FLAGS | (ARM_PATH_FLAGS if machine in {"aarch64", "arm64"} else {})


class BuildNative(build_ext):
    """Compiles each source with its path's flags, then links them."""

    def build_extension(self, ext: Extension) -> None:
        flags = path_flags()
        objects = []
        for source in ext.sources:
            extra = COMMON_FLAGS + flags.get(Path(source).stem, [])
            objects += self.compiler.compile(
                [source], output_dir=self.build_temp, depends=ext.depends, extra_postargs=extra
            )
        path = self.get_ext_fullpath(ext.name)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(objects, path, extra_postargs=["-pthread"], target_lang="c++")


setup(
    ext_modules=[
        Extension(
            "model.kernels._native",
            sources=sorted(str(path) for path in SOURCES.glob("*.cpp")),
            depends=sorted(str(path) for path in SOURCES.glob("*.h")),
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildNative},
)
