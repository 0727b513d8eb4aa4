// Sixteen floats as an array: the definition that the other simd_*.h follow operation by operation.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace {

struct F16 {
  float v[16];
};

template <typename Op>
inline F16 each(Op op) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = op(i);
  return r;
}

inline F16 load(const float* p) { return each([&](int i) { return p[i]; }); }
inline void store(float* p, F16 a) { memcpy(p, a.v, sizeof a.v); }
inline F16 splat(float x) { return each([&](int) { return x; }); }
inline F16 add(F16 a, F16 b) { return each([&](int i) { return a.v[i] + b.v[i]; }); }
inline F16 sub(F16 a, F16 b) { return each([&](int i) { return a.v[i] - b.v[i]; }); }
inline F16 mul(F16 a, F16 b) { return each([&](int i) { return a.v[i] * b.v[i]; }); }
inline F16 div(F16 a, F16 b) { return each([&](int i) { return a.v[i] / b.v[i]; }); }
inline F16 fma(F16 a, F16 b, F16 c) { return each([&](int i) { return fmaf(a.v[i], b.v[i], c.v[i]); }); }

// Where either is NaN the result is `b`, as on x86.
inline F16 max(F16 a, F16 b) { return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline F16 min(F16 a, F16 b) { return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }

// To the nearest whole number, ties to even.
inline F16 round(F16 a) { return each([&](int i) { return nearbyintf(a.v[i]); }); }

// 2^n of a whole number in [-126, 127]; of NaN, anything.
inline F16 exp2_whole(F16 n) {
  return each([&](int i) {
    const int32_t biased = (n.v[i] >= -126.f && n.v[i] <= 127.f ? int32_t(n.v[i]) : 0) + 127;
    const int32_t bits = biased << 23;
    float x;
    memcpy(&x, &bits, 4);
    return x;
  });
}

// The order of additions of every sum over lanes: lanes 8 apart, then 4, 2, 1.
inline float sum(F16 a) {
  for (int stride = 8; stride > 0; stride /= 2)
    for (int i = 0; i < stride; ++i) a.v[i] += a.v[i + stride];
  return a.v[0];
}

inline float largest(F16 a) {
  float m = a.v[0];
  for (int i = 1; i < 16; ++i) m = m > a.v[i] ? m : a.v[i];
  return m;
}

// Magnitudes compared as bits, so that NaN is largest of all.
inline uint32_t magnitude_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits & 0x7FFFFFFFu;
}
inline F16 larger_magnitude(F16 a, F16 b) {
  return each([&](int i) { return magnitude_bits(a.v[i]) > magnitude_bits(b.v[i]) ? a.v[i] : b.v[i]; });
}
inline float largest_magnitude(F16 a) {
  uint32_t most = 0;
  for (int i = 0; i < 16; ++i) most = magnitude_bits(a.v[i]) > most ? magnitude_bits(a.v[i]) : most;
  float m;
  memcpy(&m, &most, 4);
  return m;
}

// Whole numbers within [-128, 127] as bytes, and their sum.
inline int32_t store_int8(int8_t* p, F16 whole) {
  int32_t total = 0;
  for (int i = 0; i < 16; ++i) total += p[i] = int8_t(int32_t(whole.v[i]));
  return total;
}

inline F16 sum_to_four(F16 a0, F16 a1, F16 a2, F16 a3) {
  const F16* all[4] = {&a0, &a1, &a2, &a3};
  return each([&](int i) {
    const float* a = all[i / 4]->v;
    const int j = i % 4;
    return (a[j] + a[j + 8]) + (a[j + 4] + a[j + 12]);
  });
}

inline F16 sum_fours(F16 b0, F16 b1, F16 b2, F16 b3) {
  const F16* all[4] = {&b0, &b1, &b2, &b3};
  return each([&](int i) {
    const float* b = all[i % 4]->v + i / 4 * 4;
    return (b[0] + b[2]) + (b[1] + b[3]);
  });
}

// 32 bfloat16, or 16 followed by zeros: those at even places and those at odd ones.
inline void load_bf16(const uint16_t* p, bool whole, F16& even, F16& odd) {
  for (int i = 0; i < 16; ++i) {
    const bool there = whole || i < 8;
    const uint32_t lo = there ? uint32_t(p[2 * i]) << 16 : 0, hi = there ? uint32_t(p[2 * i + 1]) << 16 : 0;
    memcpy(&even.v[i], &lo, 4);
    memcpy(&odd.v[i], &hi, 4);
  }
}

inline F16 load_int8(const int8_t* p) { return each([&](int i) { return float(p[i]); }); }

}  // namespace
