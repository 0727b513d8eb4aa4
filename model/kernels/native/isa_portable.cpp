// The kernels built for plain C++; see setup.py for this file's compiler flags.
// clang-format off: the order matters
#include "simd_portable.h"
#include "attention.h"
#include "linear_portable.h"
#include "table.h"

const ow::Kernels ow::kPortableKernels = OW_KERNEL_TABLE;
