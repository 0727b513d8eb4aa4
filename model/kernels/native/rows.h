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

// The largest magnitude, compared as bits so that NaN counts as largest of all.
inline float magnitude(const float* x, int count) {
  uint32_t most = 0;
  for (int i = 0; i < count; ++i) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    bits &= 0x7FFFFFFFu;
    most = bits > most ? bits : most;
  }
  float m;
  memcpy(&m, &most, 4);
  return m;
}

inline int32_t total(const int8_t* q, int count) {
  int32_t s = 0;
  for (int i = 0; i < count; ++i) s += q[i];
  return s;
}

// Whole numbers within +-`limit` and the step between them. A block that is not finite gets a NaN step.
inline float round_to_steps(const float* x, int count, float limit, float* rounded) {
  const float most = magnitude(x, count);
  const bool usable = most >= kTiny && most <= 3.4028234e38f;
  const F16 inverse = splat(usable ? limit / most : 0.0f);
  for (int i = 0; i < count; i += 16) store(rounded + i, usable ? round(mul(load(x + i), inverse)) : splat(0.0f));
  if (usable) return most / limit;
  return most < kTiny ? 0.0f : NAN;
}

inline void quantize_block(const float* x, ActivationBlock<1>& block) {
  float rounded[kBlockIns];
  block.scale = round_to_steps(x, kBlockIns, 127.0f, rounded);
  for (int i = 0; i < kBlockIns; ++i) block.q[0][i] = int8_t(int32_t(rounded[i]));
}

inline void quantize_block(const float* x, ActivationBlock<2>& block) {
  float rounded[kBlockIns];
  block.scale = round_to_steps(x, kBlockIns, 32512.0f, rounded);  // 127 * 256: the high byte stays within +-127
  for (int i = 0; i < kBlockIns; ++i) {
    const int32_t q = int32_t(rounded[i]), high = (q + 128) >> 8;
    block.q[0][i] = int8_t(high);
    block.q[1][i] = int8_t(q - high * 256);
  }
}

template <int kParts>
void quantize(const float* x, int64_t num_ins, void* out) {
  auto* blocks = static_cast<ActivationBlock<kParts>*>(out);
  for (int64_t start = 0; start < num_ins; start += kBlockIns, ++blocks) {
    const int64_t left = num_ins - start;
    float padded[kBlockIns] = {};
    if (left < kBlockIns) memcpy(padded, x + start, size_t(left) * sizeof(float));
    quantize_block(left < kBlockIns ? padded : x + start, *blocks);
    for (int part = 0; part < kParts; ++part) {
      const int32_t first = total(blocks->q[part], 16), second = total(blocks->q[part] + 16, 16);
      blocks->offset[part][0] = -12 * first;
      blocks->offset[part][1] = -12 * second;
      blocks->offset[part][2] = -12 * (first + second);
    }
  }
}

// To nearest, ties to even; NaN stays NaN.
void store_bf16(const float* x, int d_head, void* out, float*) {
  auto* bits = static_cast<uint16_t*>(out);
  for (int i = 0; i < d_head; ++i) {
    uint32_t u;
    memcpy(&u, x + i, 4);
    const uint32_t rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;
    bits[i] = uint16_t((u & 0x7FFFFFFFu) > 0x7F800000u ? u >> 16 | 0x40u : rounded);
  }
}

void store_int8(const float* x, int d_head, void* out, float* scale) {
  auto* q = static_cast<int8_t*>(out);
  const float most = magnitude(x, d_head);
  const bool usable = most >= kTiny && most <= 3.4028234e38f;
  const F16 inverse = splat(usable ? 127.0f / most : 0.0f);
  *scale = usable ? most / 127.0f : most < kTiny ? 0.0f : NAN;
  for (int i = 0; i < d_head; i += 16) {
    float rounded[16];
    store(rounded, round(mul(load(x + i), inverse)));
    for (int j = 0; j < 16; ++j) q[i + j] = usable ? int8_t(int32_t(rounded[j])) : 0;
  }
}

}  // namespace
