// One tile times rows of rounded activations with NEON's dot product. See linear_portable.h for the arithmetic.
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "kernels.h"

namespace {

using namespace ow;

constexpr int kMaxRows = 4;    // rows that share one unpacking
constexpr int kQuadOuts = 4;   // output rows of one register

// The whole-number sum over 16 inputs, groups of four against the four lanes of q.
inline int32x4_t dot16(const int8x16_t* w, const int8_t* q, int32x4_t s) {
  const int8x16_t lanes = vld1q_s8(q);
  s = vdotq_laneq_s32(s, w[0], lanes, 0);
  s = vdotq_laneq_s32(s, w[1], lanes, 1);
  s = vdotq_laneq_s32(s, w[2], lanes, 2);
  return vdotq_laneq_s32(s, w[3], lanes, 3);
}

template <int kSixteens, int kParts>
inline float32x4_t whole_sum(const int8x16_t* w, const ActivationBlock<kParts>& a, int first) {
  int32x4_t s = vdupq_n_s32(0);
  for (int part = 0; part < kParts; ++part) {
    if (part > 0) s = vshlq_n_s32(s, 8);
    for (int i = 0; i < kSixteens; ++i) s = dot16(w + first / 4 + 4 * i, a.q[part] + first + 16 * i, s);
  }
  return vcvtq_f32_s32(s);
}

// Four raw scale bytes, widened.
inline uint16x4_t load_scales(const uint8_t* p) {
  uint32_t four;
  memcpy(&four, p, 4);
  return vget_low_u16(vmovl_u8(vcreate_u8(four)));
}

template <int kFormat>
struct Scales;

template <>
struct Scales<OW_NVFP4> {
  float32x4_t first, second;
  // E4M3 bits shifted to a half's place are the value times 2^-8, subnormals included.
  static float32x4_t decode(const uint8_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vshl_n_u16(load_scales(p), 7)));
  }
  explicit Scales(const uint8_t* p) : first(decode(p)), second(decode(p + kTileOuts)) {}
  template <int kParts>
  float32x4_t apply(const int8x16_t* w, const ActivationBlock<kParts>& a) const {
    return vfmaq_f32(vmulq_f32(whole_sum<1>(w, a, 0), first), whole_sum<1>(w, a, 16), second);
  }
};

template <>
struct Scales<OW_MXFP4> {
  float32x4_t all;
  // E8M0 is a float's exponent field; 0 stands for 2^-127, a subnormal.
  explicit Scales(const uint8_t* p)
      : all(vreinterpretq_f32_u32(vmaxq_u32(vshlq_n_u32(vmovl_u16(load_scales(p)), 23), vdupq_n_u32(1u << 22)))) {}
  template <int kParts>
  float32x4_t apply(const int8x16_t* w, const ActivationBlock<kParts>& a) const {
    return vmulq_f32(whole_sum<2>(w, a, 0), all);
  }
};

// Output rows 4 * quad .. 4 * quad + 3 of the tile.
template <int kFormat, int kParts, int kRows>
void multiply_rows(const Tile& tile, int quad, const ActivationBlock<kParts>* rows, float* out, int64_t out_stride) {
  constexpr int kScaleBytes = (kFormat == OW_NVFP4 ? 2 : 1) * kTileOuts;
  static const int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // by code
  const int8x16_t table = vld1q_s8(kDoubled);
  float32x4_t acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = vdupq_n_f32(0.0f);
  const uint8_t* codes = tile.codes + 16 * quad;
  const uint8_t* scale_bytes = tile.scales + kQuadOuts * quad;
  for (int64_t b = 0; b < tile.num_blocks; ++b, codes += 256, scale_bytes += kScaleBytes) {
    int8x16_t w[8];
    for (int g = 0; g < 4; ++g) {
      const uint8x16_t packed = vld1q_u8(codes + 64 * g);
      w[2 * g] = vqtbl1q_s8(table, vandq_u8(packed, vdupq_n_u8(15)));
      w[2 * g + 1] = vqtbl1q_s8(table, vshrq_n_u8(packed, 4));
    }
    const Scales<kFormat> scales(scale_bytes);
    for (int r = 0; r < kRows; ++r) {
      const ActivationBlock<kParts>& a = rows[r * tile.num_blocks + b];
      acc[r] = vfmaq_f32(acc[r], scales.apply(w, a), vdupq_n_f32(a.scale));
    }
  }
  for (int r = 0; r < kRows; ++r) vst1q_f32(out + r * out_stride + kQuadOuts * quad, vmulq_n_f32(acc[r], tile.scale));
}

template <int kFormat, int kParts>
void multiply(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride) {
  auto* a = static_cast<const ActivationBlock<kParts>*>(rows);
  for (int64_t row = 0; row < num_rows;) {
    const int64_t count = num_rows - row < kMaxRows ? num_rows - row : kMaxRows;
    for (int quad = 0; quad < kTileOuts / kQuadOuts; ++quad) {
      const auto* first = a + row * tile.num_blocks;
      float* to = out + row * out_stride;
      if (count == 4) multiply_rows<kFormat, kParts, 4>(tile, quad, first, to, out_stride);
      if (count == 3) multiply_rows<kFormat, kParts, 3>(tile, quad, first, to, out_stride);
      if (count == 2) multiply_rows<kFormat, kParts, 2>(tile, quad, first, to, out_stride);
      if (count == 1) multiply_rows<kFormat, kParts, 1>(tile, quad, first, to, out_stride);
    }
    row += count;
  }
}

}  // namespace
