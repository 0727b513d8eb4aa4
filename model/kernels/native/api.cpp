// The exported functions of abi.h: handles around the C++ objects, exceptions turned into status codes.
#include "abi.h"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>

#include "decoder.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct OwPool {
  ow::Pool pool;
};
struct OwLinear {
  ow::Linear linear;
};
struct OwDecoder {
  ow::Decoder decoder;
};

namespace {

// The calling thread's float mode is the host's: torch can set it to flush subnormals. Workers start in the default
// mode, and results must not depend on which thread ran a task.
class DefaultFloatMode {
 public:
  DefaultFloatMode() : saved_(get()) { set(kDefault); }
  ~DefaultFloatMode() { set(saved_); }

 private:
#if defined(__x86_64__)
  static constexpr unsigned kDefault = 0x1F80;  // MXCSR at reset: round to nearest, every exception masked
  static uint64_t get() { return _mm_getcsr(); }
  static void set(uint64_t mode) { _mm_setcsr(unsigned(mode)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kDefault = 0;
  static uint64_t get() {
    uint64_t mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(uint64_t mode) { asm volatile("msr fpcr, %0" ::"r"(mode)); }
#else
  static constexpr uint64_t kDefault = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif
  uint64_t saved_;
};

}  // namespace

OwPool* ow_pool_create(int32_t num_threads, int32_t pinned) {
  try {
    return new OwPool{{num_threads, pinned != 0}};
  } catch (const std::bad_alloc&) {
    return nullptr;
  } catch (const std::system_error&) {  // no more threads
    return nullptr;
  }
}

void ow_pool_destroy(OwPool* pool) { delete pool; }

uint64_t ow_pool_read(OwPool* pool, const uint64_t* words, int64_t num_words) {
  constexpr int64_t kPart = 1 << 13;  // 64 KiB
  std::atomic<uint64_t> total{0};
  const ow::Pool::Operation operation(pool->pool);
  pool->pool.run((num_words + kPart - 1) / kPart, [&](int64_t part, int) {
    uint64_t sums[64] = {};  // as many independent chains as hide the latency of additions
    const uint64_t *p = words + part * kPart, *end = words + std::min(num_words, (part + 1) * kPart);
    for (; end - p >= 64; p += 64) {
      for (int line = 0; line < 64; line += 8) __builtin_prefetch(p + 256 + line);
      for (int i = 0; i < 64; ++i) sums[i] += p[i];
    }
    for (; p < end; ++p) sums[0] += *p;
    for (int i = 1; i < 64; ++i) sums[0] += sums[i];
    total.fetch_add(sums[0], std::memory_order_relaxed);
  });
  return total.load();
}

OwLinear* ow_linear_create(const OwFp4* weight, int32_t activation, int32_t isa, OwPool* pool) {
  const ow::Kernels* kernels = ow::kernels_of(isa);
  if (!kernels) return nullptr;
  try {
    return new OwLinear{{*weight, activation, *kernels, pool->pool}};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

int32_t ow_linear_forward(OwLinear* linear, const float* x, int64_t num_rows, float* y) {
  const DefaultFloatMode mode;
  linear->linear.forward(x, num_rows, y);
  return OW_OK;
}

void ow_linear_destroy(OwLinear* linear) { delete linear; }

OwDecoder* ow_decoder_create(const OwDecoderConfig* config, const OwLayer* layers, const float* final_norm,
                             const OwCache* cache, int32_t isa, OwPool* pool) {
  const ow::Kernels* kernels = ow::kernels_of(isa);
  if (!kernels) return nullptr;
  try {
    return new OwDecoder{{*config, layers, final_norm, *cache, *kernels, pool->pool}};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

int32_t ow_decoder_forward(OwDecoder* decoder, const OwRows* rows) {
  const DefaultFloatMode mode;
  try {
    return decoder->decoder.forward(*rows) ? OW_OK : OW_BAD_ARGUMENT;
  } catch (const std::bad_alloc&) {
    return OW_OUT_OF_MEMORY;
  }
}

void ow_decoder_destroy(OwDecoder* decoder) { delete decoder; }
