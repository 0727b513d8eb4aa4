// The kernels built for AVX2 with AVX-VNNI; see setup.py for this file's compiler flags.
#if defined(__x86_64__)
// clang-format off: the order matters
#include "simd_avx2.h"
#include "attention.h"
#include "linear_avx2.h"
#include "table.h"

const ow::Kernels ow::kAvx2VnniKernels = OW_KERNEL_TABLE;
#endif
