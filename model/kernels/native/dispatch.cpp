// Chooses an instruction set path by asking the CPU.
#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace ow {
namespace {

#if defined(__x86_64__)
// Intel SDM volume 2, CPUID leaf 7 subleaf 1: EAX bit 4 is AVX-VNNI. Older compilers do not know its name.
bool has_avx_vnni() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1);
}

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");  // every CPU with AVX2 also has F16C
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
bool has_dot_product() {
#if defined(__linux__)
  return getauxval(AT_HWCAP) >> 20 & 1;  // HWCAP_ASIMDDP of the kernel's asm/hwcap.h
#else
  return true;  // every 64-bit Apple computer
#endif
}
#endif

}  // namespace

const Kernels* kernels_of(int isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (isa == OW_ISA_AVX512 && has_avx512()) return &kAvx512Kernels;
  if (isa == OW_ISA_AVX2_VNNI && has_avx2() && has_avx_vnni()) return &kAvx2VnniKernels;
  if (isa == OW_ISA_AVX2 && has_avx2()) return &kAvx2Kernels;
#elif defined(__aarch64__)
  if (isa == OW_ISA_NEON && has_dot_product()) return &kNeonKernels;
#endif
  return isa == OW_ISA_PORTABLE ? &kPortableKernels : nullptr;
}

}  // namespace ow

int32_t ow_isa_runs(int32_t isa) { return ow::kernels_of(isa) != nullptr; }

int32_t ow_best_isa(void) {
  int32_t isa = OW_NUM_ISAS - 1;
  while (!ow_isa_runs(isa)) --isa;
  return isa;
}
