// The kernels built for AVX-512 with VNNI; see setup.py for this file's compiler flags.
#if defined(__x86_64__)
// clang-format off: the order matters
#include "simd_avx512.h"
#include "attention.h"
#include "linear_avx512.h"
#include "table.h"

const ow::Kernels ow::kAvx512Kernels = OW_KERNEL_TABLE;
#endif
