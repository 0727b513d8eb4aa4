// One tile times rows of rounded activations with AVX2, and VNNI where the path has it. See linear_portable.h.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels.h"

namespace {

using namespace ow;

constexpr int kMaxRows = 4;  // rows that share one unpacking

inline __m256i splat_bytes(const int8_t* q) {
  int32_t four;
  memcpy(&four, q, 4);
  return _mm256_set1_epi32(four);
}

// The sum over 16 inputs, four groups of four. Without VNNI, four products of (0..24) * (-128..127) pairs fit 16 bits.
inline __m256i dot16(const __m256i* w, const int8_t* q, __m256i s) {
#if defined(__AVXVNNI__)
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) s = _mm256_dpbusd_avx_epi32(s, w[i], splat_bytes(q + 4 * i));
  return s;
#else
  __m256i pairs = _mm256_maddubs_epi16(w[0], splat_bytes(q));
#pragma GCC unroll 4
  for (int i = 1; i < 4; ++i) pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(w[i], splat_bytes(q + 4 * i)));
  return _mm256_add_epi32(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

template <int kSixteens>
inline __m256i dot(const __m256i* w, const int8_t* q, int32_t offset) {
  __m256i s = dot16(w, q, _mm256_set1_epi32(offset));
  if (kSixteens == 2) s = dot16(w + 4, q + 16, s);
  return s;
}

// The whole-number sum over `kSixteens` * 16 inputs from `first` on. `which` names the offset that covers them.
template <int kSixteens, int kParts>
inline __m256 whole_sum(const __m256i* w, const ActivationBlock<kParts>& a, int first, int which) {
  __m256i s = dot<kSixteens>(w + first / 4, a.q[0] + first, a.offset[0][which]);
  if (kParts == 2) {
    const __m256i low = dot<kSixteens>(w + first / 4, a.q[kParts - 1] + first, a.offset[kParts - 1][which]);
    s = _mm256_add_epi32(_mm256_slli_epi32(s, 8), low);
  }
  return _mm256_cvtepi32_ps(s);
}

template <int kFormat>
struct Scales;

template <>
struct Scales<OW_NVFP4> {
  __m256 first, second;
  // E4M3 bits shifted to a half's place are the value times 2^-8, subnormals included.
  static __m256 decode(const uint8_t* p) {
    const __m128i wide = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i*)p));
    return _mm256_cvtph_ps(_mm_slli_epi16(wide, 7));
  }
  explicit Scales(const uint8_t* p) : first(decode(p)), second(decode(p + kTileOuts)) {}
  template <int kParts>
  __m256 apply(const __m256i* w, const ActivationBlock<kParts>& a) const {
    const __m256 s0 = whole_sum<1>(w, a, 0, 0), s1 = whole_sum<1>(w, a, 16, 1);
    return _mm256_fmadd_ps(s1, second, _mm256_mul_ps(s0, first));
  }
};

template <>
struct Scales<OW_MXFP4> {
  __m256 all;
  // E8M0 is a float's exponent field; 0 stands for 2^-127, a subnormal.
  explicit Scales(const uint8_t* p) {
    const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)), 23);
    all = _mm256_castsi256_ps(_mm256_max_epi32(wide, _mm256_set1_epi32(1 << 22)));
  }
  template <int kParts>
  __m256 apply(const __m256i* w, const ActivationBlock<kParts>& a) const {
    return _mm256_mul_ps(whole_sum<2>(w, a, 0, 2), all);
  }
};

// Output rows 8 * half .. 8 * half + 7 of the tile.
template <int kFormat, int kParts, int kRows>
void multiply_rows(const Tile& tile, int half, const ActivationBlock<kParts>* rows, float* out, int64_t out_stride) {
  constexpr int kScaleBytes = (kFormat == OW_NVFP4 ? 2 : 1) * kTileOuts;
  const __m256i table = _mm256_broadcastsi128_si256(  // by code: twice the E2M1 value, plus 12
      _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  const __m256i low_nibbles = _mm256_set1_epi8(15);
  __m256 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = _mm256_setzero_ps();
  const uint8_t* codes = tile.codes + 32 * half;
  const uint8_t* scale_bytes = tile.scales + 8 * half;
  for (int64_t b = 0; b < tile.num_blocks; ++b, codes += 256, scale_bytes += kScaleBytes) {
    __m256i w[8];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const __m256i packed = _mm256_loadu_si256((const __m256i*)(codes + 64 * g));
      w[2 * g] = _mm256_shuffle_epi8(table, _mm256_and_si256(packed, low_nibbles));
      w[2 * g + 1] = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(packed, 4), low_nibbles));
    }
    const Scales<kFormat> scales(scale_bytes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const ActivationBlock<kParts>& a = rows[r * tile.num_blocks + b];
      acc[r] = _mm256_fmadd_ps(scales.apply(w, a), _mm256_set1_ps(a.scale), acc[r]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    _mm256_storeu_ps(out + r * out_stride + 8 * half, _mm256_mul_ps(acc[r], _mm256_set1_ps(tile.scale)));
}

template <int kFormat, int kParts>
void multiply(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride) {
  auto* a = static_cast<const ActivationBlock<kParts>*>(rows);
  for (int64_t row = 0; row < num_rows;) {
    const int64_t count = num_rows - row < kMaxRows ? num_rows - row : kMaxRows;
    for (int half = 0; half < 2; ++half) {
      const auto* first = a + row * tile.num_blocks;
      float* to = out + row * out_stride;
      if (count == 4) multiply_rows<kFormat, kParts, 4>(tile, half, first, to, out_stride);
      if (count == 3) multiply_rows<kFormat, kParts, 3>(tile, half, first, to, out_stride);
      if (count == 2) multiply_rows<kFormat, kParts, 2>(tile, half, first, to, out_stride);
      if (count == 1) multiply_rows<kFormat, kParts, 1>(tile, half, first, to, out_stride);
    }
    row += count;
  }
}

}  // namespace
