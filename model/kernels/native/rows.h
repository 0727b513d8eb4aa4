// Arithmetic on single rows: norms, gates, rotary positions, activation and cache rounding. Included by each isa_*.cpp
// after its simd_*.h. Plain loops here are elementwise, so the compiler may vectorize them without changing results.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"

namespace {

using namespace ow;

constexpr float kTiny = 1e-30f;  // a block whose largest magnitude is below this counts as zero

// e^x by Cody-Waite reduction and the polynomial of Cephes' expf (within 2 ulp); clamped to [e^-87, e^88].
inline F16 exp(F16 x) {
  x = min(splat(88.0f), max(splat(-87.0f), x));
  const F16 n = round(mul(x, splat(1.44269504088896341f)));
  const F16 r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x));
  F16 p = fma(splat(1.9875691500e-4f), r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = add(fma(p, mul(r, r), r), splat(1.0f));
  return mul(p, exp2_whole(n));
}

// Up to 16 values, the rest of the lanes zero.
inline F16 load_some(const float* p, int64_t count) {
  if (count >= 16) return load(p);
  float padded[16] = {};
  memcpy(padded, p, size_t(count) * sizeof(float));
  return load(padded);
}

inline void store_some(float* p, int64_t count, F16 a) {
  if (count >= 16) return store(p, a);
  float padded[16];
  store(padded, a);
  memcpy(p, padded, size_t(count) * sizeof(float));
}

void rms_norm(const float* x, const float* weight, float eps, int64_t width, float* y) {
  F16 squares = splat(0.0f);
  for (int64_t i = 0; i < width; i += 16) {
    const F16 v = load_some(x + i, width - i);
    squares = fma(v, v, squares);
  }
  const F16 inverse = splat(1.0f / sqrtf(sum(squares) / float(width) + eps));
  for (int64_t i = 0; i < width; i += 16) {
    const F16 v = mul(load_some(x + i, width - i), inverse);
    store_some(y + i, width - i, mul(v, load_some(weight + i, width - i)));
  }
}

void swiglu(const float* gate, const float* up, int64_t count, float* h) {
  for (int64_t i = 0; i < count; i += 16) {
    const F16 g = load_some(gate + i, count - i);
    const F16 silu = div(g, add(splat(1.0f), exp(sub(splat(0.0f), g))));
    store_some(h + i, count - i, mul(silu, load_some(up + i, count - i)));
  }
}

void rotate(float* __restrict x, const float* __restrict cos, const float* __restrict sin, int d_head) {
  const int half = d_head / 2;
  float* __restrict y = x + half;
  for (int i = 0; i < half; ++i) {
    const float a = x[i], b = y[i];
    x[i] = fmaf(a, cos[i], -(b * sin[i]));
    y[i] = fmaf(b, cos[i], a * sin[i]);
  }
}

// How values are divided into steps of `most` / `limit`. Values that are not finite get a NaN step and zeros.
struct Steps {
  bool usable;
  F16 per_unit;
  float step;

  Steps(float most, float limit)
      : usable(most >= kTiny && most <= 3.4028234e38f),
        per_unit(splat(usable ? limit / most : 0.0f)),
        step(usable ? most / limit : most < kTiny ? 0.0f : NAN) {}
  F16 count(F16 x) const { return usable ? round(mul(x, per_unit)) : splat(0.0f); }
};

// 16 inputs of one block, as whole numbers of steps.
inline void store_steps(F16 whole, ActivationBlock<1>& block, int half) {
  block.offset[0][half] = -12 * store_int8(block.q[0] + 16 * half, whole);
}

inline void store_steps(F16 whole, ActivationBlock<2>& block, int half) {
  // A quarter more rounds ties up, so that the low byte is -128 there and never 128. All of it is exact.
  const F16 high = round(fma(whole, splat(1.0f / 256.0f), splat(0.25f / 256.0f)));
  block.offset[0][half] = -12 * store_int8(block.q[0] + 16 * half, high);
  block.offset[1][half] = -12 * store_int8(block.q[1] + 16 * half, fma(high, splat(-256.0f), whole));
}

template <int kParts>
inline void quantize_block(F16 first, F16 second, ActivationBlock<kParts>& block) {
  const float limit = kParts == 1 ? 127.0f : 32512.0f;  // 127 * 256: the high byte stays within +-127
  const Steps steps(largest_magnitude(larger_magnitude(first, second)), limit);
  store_steps(steps.count(first), block, 0);
  store_steps(steps.count(second), block, 1);
  for (int part = 0; part < kParts; ++part) block.offset[part][2] = block.offset[part][0] + block.offset[part][1];
  block.scale = steps.step;
}

template <int kParts>
void quantize(const float* x, int64_t num_ins, void* out) {
  auto* blocks = static_cast<ActivationBlock<kParts>*>(out);
  for (int64_t i = 0; i < num_ins; i += kBlockIns, ++blocks) {
    const F16 second = num_ins - i > 16 ? load_some(x + i + 16, num_ins - i - 16) : splat(0.0f);
    quantize_block(load_some(x + i, num_ins - i), second, *blocks);
  }
}

// To nearest, ties to even; NaN stays NaN.
void store_bf16_kv(const float* x, int d_head, void* out, float*) {
  auto* bits = static_cast<uint16_t*>(out);
  for (int i = 0; i < d_head; ++i) {
    uint32_t u;
    memcpy(&u, x + i, 4);
    const uint32_t rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;
    bits[i] = uint16_t((u & 0x7FFFFFFFu) > 0x7F800000u ? u >> 16 | 0x40u : rounded);
  }
}

void store_int8_kv(const float* x, int d_head, void* out, float* scale) {
  F16 most = splat(0.0f);
  for (int i = 0; i < d_head; i += 16) most = larger_magnitude(most, load(x + i));
  const Steps steps(largest_magnitude(most), 127.0f);
  for (int i = 0; i < d_head; i += 16) store_int8(static_cast<int8_t*>(out) + i, steps.count(load(x + i)));
  *scale = steps.step;
}

}  // namespace
