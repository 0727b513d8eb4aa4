// Sixteen floats in four NEON registers. See simd_portable.h for what each operation means.
#pragma once

#include <arm_neon.h>
#include <stdint.h>

namespace {

struct F16 {
  float32x4_t v[4];
};

template <typename Op>
inline F16 each(Op op) {
  return {{op(0), op(1), op(2), op(3)}};
}

inline F16 load(const float* p) {
  return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, F16 a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline F16 splat(float x) {
  return each([&](int) { return vdupq_n_f32(x); });
}
inline F16 add(F16 a, F16 b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline F16 sub(F16 a, F16 b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline F16 mul(F16 a, F16 b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline F16 div(F16 a, F16 b) {
  return each([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline F16 fma(F16 a, F16 b, F16 c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline F16 max(F16 a, F16 b) {
  return each([&](int i) { return vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline F16 min(F16 a, F16 b) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline F16 round(F16 a) {
  return each([&](int i) { return vrndnq_f32(a.v[i]); });
}

inline F16 exp2_whole(F16 n) {
  return each([&](int i) {
    const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n.v[i]), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
  });
}

// Lanes 8 apart, then lanes 4 apart.
inline float32x4_t four_sums(F16 a) {
  return vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
}

inline float sum(F16 a) {
  const float32x4_t four = four_sums(a);
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

inline float largest(F16 a) {
  return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}

inline uint32x4_t magnitude_bits(float32x4_t a) {
  return vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x7FFFFFFFu));
}
inline F16 larger_magnitude(F16 a, F16 b) {
  return each(
      [&](int i) { return vreinterpretq_f32_u32(vmaxq_u32(magnitude_bits(a.v[i]), magnitude_bits(b.v[i]))); });
}
inline float largest_magnitude(F16 a) {
  const uint32x4_t first = vmaxq_u32(magnitude_bits(a.v[0]), magnitude_bits(a.v[1]));
  const uint32x4_t second = vmaxq_u32(magnitude_bits(a.v[2]), magnitude_bits(a.v[3]));
  return vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32(vmaxvq_u32(vmaxq_u32(first, second)))), 0);
}

inline int32_t store_int8(int8_t* p, F16 whole) {
  int32x4_t n[4];
  for (int i = 0; i < 4; ++i) n[i] = vcvtnq_s32_f32(whole.v[i]);
  const int16x8_t first = vcombine_s16(vmovn_s32(n[0]), vmovn_s32(n[1]));
  const int16x8_t second = vcombine_s16(vmovn_s32(n[2]), vmovn_s32(n[3]));
  vst1q_s8(p, vcombine_s8(vmovn_s16(first), vmovn_s16(second)));
  return vaddvq_s32(vaddq_s32(vaddq_s32(n[0], n[1]), vaddq_s32(n[2], n[3])));
}

inline F16 sum_to_four(F16 a0, F16 a1, F16 a2, F16 a3) {
  return {{four_sums(a0), four_sums(a1), four_sums(a2), four_sums(a3)}};
}

// [a0 + a2, a1 + a3, b0 + b2, b1 + b3]
inline float32x4_t two_sums(float32x4_t a, float32x4_t b) {
  const float64x2_t x = vreinterpretq_f64_f32(a), y = vreinterpretq_f64_f32(b);
  return vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(x, y)), vreinterpretq_f32_f64(vzip2q_f64(x, y)));
}

inline F16 sum_fours(F16 b0, F16 b1, F16 b2, F16 b3) {
  return each([&](int i) { return vpaddq_f32(two_sums(b0.v[i], b1.v[i]), two_sums(b2.v[i], b3.v[i])); });
}

inline void load_bf16(const uint16_t* p, bool whole, F16& even, F16& odd) {
  for (int i = 0; i < 4; ++i) {
    const bool there = whole || i < 2;
    const uint32x4_t pairs = there ? vreinterpretq_u32_u16(vld1q_u16(p + 8 * i)) : vdupq_n_u32(0);
    even.v[i] = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
    odd.v[i] = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xFFFF0000u)));
  }
}

inline F16 load_int8(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t first = vmovl_s8(vget_low_s8(bytes)), second = vmovl_s8(vget_high_s8(bytes));
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(first))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(first))),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(second))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(second)))}};
}

}  // namespace
