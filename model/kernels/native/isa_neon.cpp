// The kernels built for NEON with dot products; see setup.py for this file's compiler flags.
#if defined(__aarch64__)
// clang-format off: the order matters
#include "simd_neon.h"
#include "attention.h"
#include "linear_neon.h"
#include "table.h"

const ow::Kernels ow::kNeonKernels = OW_KERNEL_TABLE;
#endif
