// One tile times rows of rounded activations with AVX-512 VNNI. See linear_portable.h for the arithmetic.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels.h"

namespace {

using namespace ow;

constexpr int kMaxRows = 8;  // rows that share one unpacking; 8 accumulators and 8 weights fit the 32 registers
constexpr int64_t kPrefetchBytes = 8192;

inline __m512i doubled_plus_12() {  // by code: twice the E2M1 value, plus 12
  return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

inline __m512i splat_bytes(const int8_t* q) {
  int32_t four;
  memcpy(&four, q, 4);
  return _mm512_set1_epi32(four);
}

template <int kCount>
inline __m512i dot(const __m512i* w, const int8_t* q, int32_t offset) {
  __m512i s = _mm512_set1_epi32(offset);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) s = _mm512_dpbusd_epi32(s, w[i], splat_bytes(q + 4 * i));
  return s;
}

// The whole-number sum over `kCount` groups of four inputs from `group` on. `which` names the offset that covers them.
template <int kCount, int kParts>
inline __m512 whole_sum(const __m512i* w, const ActivationBlock<kParts>& a, int group, int which) {
  __m512i s = dot<kCount>(w + group, a.q[0] + 4 * group, a.offset[0][which]);
  if (kParts == 2) {
    const __m512i low = dot<kCount>(w + group, a.q[kParts - 1] + 4 * group, a.offset[kParts - 1][which]);
    s = _mm512_add_epi32(_mm512_slli_epi32(s, 8), low);
  }
  return _mm512_cvtepi32_ps(s);
}

template <int kFormat>
struct Scales;

template <>
struct Scales<OW_NVFP4> {
  __m512 first, second;
  // E4M3 bits shifted to a half's place are the value times 2^-8, subnormals included.
  static __m512 decode(const uint8_t* p) {
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)p));
    return _mm512_cvtph_ps(_mm256_slli_epi16(wide, 7));
  }
  explicit Scales(const uint8_t* p) : first(decode(p)), second(decode(p + kTileOuts)) {}
  template <int kParts>
  __m512 apply(const __m512i* w, const ActivationBlock<kParts>& a) const {
    const __m512 s0 = whole_sum<4>(w, a, 0, 0), s1 = whole_sum<4>(w, a, 4, 1);
    return _mm512_fmadd_ps(s1, second, _mm512_mul_ps(s0, first));
  }
};

template <>
struct Scales<OW_MXFP4> {
  __m512 all;
  // E8M0 is a float's exponent field; 0 stands for 2^-127, a subnormal.
  explicit Scales(const uint8_t* p) {
    const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)), 23);
    all = _mm512_castsi512_ps(_mm512_max_epi32(wide, _mm512_set1_epi32(1 << 22)));
  }
  template <int kParts>
  __m512 apply(const __m512i* w, const ActivationBlock<kParts>& a) const {
    return _mm512_mul_ps(whole_sum<8>(w, a, 0, 2), all);
  }
};

template <int kFormat, int kParts, int kRows>
void multiply_rows(const Tile& tile, const ActivationBlock<kParts>* rows, float* out, int64_t out_stride) {
  constexpr int kScaleBytes = (kFormat == OW_NVFP4 ? 2 : 1) * kTileOuts;
  const __m512i table = doubled_plus_12(), low_nibbles = _mm512_set1_epi8(15);
  __m512 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = _mm512_setzero_ps();
  const uint8_t* codes = tile.codes;
  const uint8_t* scale_bytes = tile.scales;
  for (int64_t b = 0; b < tile.num_blocks; ++b, codes += 256, scale_bytes += kScaleBytes) {
    __m512i w[8];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      _mm_prefetch((const char*)codes + 64 * g + kPrefetchBytes, _MM_HINT_T0);
      const __m512i packed = _mm512_loadu_si512(codes + 64 * g);
      w[2 * g] = _mm512_shuffle_epi8(table, _mm512_and_si512(packed, low_nibbles));
      w[2 * g + 1] = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(packed, 4), low_nibbles));
    }
    const Scales<kFormat> scales(scale_bytes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const ActivationBlock<kParts>& a = rows[r * tile.num_blocks + b];
      acc[r] = _mm512_fmadd_ps(scales.apply(w, a), _mm512_set1_ps(a.scale), acc[r]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    _mm512_storeu_ps(out + r * out_stride, _mm512_mul_ps(acc[r], _mm512_set1_ps(tile.scale)));
}

template <int kFormat, int kParts>
void multiply(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride) {
  auto* a = static_cast<const ActivationBlock<kParts>*>(rows);
  for (; num_rows >= kMaxRows; num_rows -= kMaxRows, a += kMaxRows * tile.num_blocks, out += kMaxRows * out_stride)
    multiply_rows<kFormat, kParts, kMaxRows>(tile, a, out, out_stride);
  switch (num_rows) {
    case 7: return multiply_rows<kFormat, kParts, 7>(tile, a, out, out_stride);
    case 6: return multiply_rows<kFormat, kParts, 6>(tile, a, out, out_stride);
    case 5: return multiply_rows<kFormat, kParts, 5>(tile, a, out, out_stride);
    case 4: return multiply_rows<kFormat, kParts, 4>(tile, a, out, out_stride);
    case 3: return multiply_rows<kFormat, kParts, 3>(tile, a, out, out_stride);
    case 2: return multiply_rows<kFormat, kParts, 2>(tile, a, out, out_stride);
    case 1: return multiply_rows<kFormat, kParts, 1>(tile, a, out, out_stride);
    default: return;
  }
}

}  // namespace
