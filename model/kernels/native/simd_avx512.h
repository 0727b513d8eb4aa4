// Sixteen floats in one AVX-512 register. See simd_portable.h for what each operation means.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace {

struct F16 {
  __m512 v;
};

inline F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, F16 a) { _mm512_storeu_ps(p, a.v); }
inline F16 splat(float x) { return {_mm512_set1_ps(x)}; }
inline F16 add(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 sub(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 mul(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 div(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16 max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F16 round(F16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

inline F16 exp2_whole(F16 n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}

inline __m256 upper(__m512 a) { return _mm512_extractf32x8_ps(a, 1); }

inline float sum(F16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), upper(a.v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float largest(F16 a) { return _mm512_reduce_max_ps(a.v); }

inline __m512i magnitude_bits(F16 a) {
  return _mm512_and_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(0x7FFFFFFF));
}
inline F16 larger_magnitude(F16 a, F16 b) {
  return {_mm512_castsi512_ps(_mm512_max_epu32(magnitude_bits(a), magnitude_bits(b)))};
}
inline float largest_magnitude(F16 a) {
  return _mm512_cvtss_f32(_mm512_castsi512_ps(_mm512_set1_epi32(int(_mm512_reduce_max_epu32(magnitude_bits(a))))));
}

inline int32_t store_int8(int8_t* p, F16 whole) {
  const __m512i wide = _mm512_cvtps_epi32(whole.v);
  _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(wide));
  return _mm512_reduce_add_epi32(wide);
}

// Sums of four vectors down to four lanes each: lanes 4i..4i+3 hold those of a_i.
inline F16 sum_to_four(F16 a0, F16 a1, F16 a2, F16 a3) {
  const __m512 a01 = _mm512_add_ps(_mm512_shuffle_f32x4(a0.v, a1.v, 0x44), _mm512_shuffle_f32x4(a0.v, a1.v, 0xEE));
  const __m512 a23 = _mm512_add_ps(_mm512_shuffle_f32x4(a2.v, a3.v, 0x44), _mm512_shuffle_f32x4(a2.v, a3.v, 0xEE));
  return {_mm512_add_ps(_mm512_shuffle_f32x4(a01, a23, 0x88), _mm512_shuffle_f32x4(a01, a23, 0xDD))};
}

// Finishes four results of `sum_to_four`: lane 4i + j is the sum of the j-th vector's i-th argument.
inline F16 sum_fours(F16 b0, F16 b1, F16 b2, F16 b3) {
  const __m512 b01 = _mm512_add_ps(_mm512_unpacklo_ps(b0.v, b1.v), _mm512_unpackhi_ps(b0.v, b1.v));
  const __m512 b23 = _mm512_add_ps(_mm512_unpacklo_ps(b2.v, b3.v), _mm512_unpackhi_ps(b2.v, b3.v));
  const __m512d lo = _mm512_unpacklo_pd(_mm512_castps_pd(b01), _mm512_castps_pd(b23));
  const __m512d hi = _mm512_unpackhi_pd(_mm512_castps_pd(b01), _mm512_castps_pd(b23));
  return {_mm512_add_ps(_mm512_castpd_ps(lo), _mm512_castpd_ps(hi))};
}

inline void load_bf16(const uint16_t* p, bool whole, F16& even, F16& odd) {
  const __m512i pairs = whole ? _mm512_loadu_si512(p) : _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i*)p));
  const __m512i kept = whole ? pairs : _mm512_inserti64x4(pairs, _mm256_setzero_si256(), 1);
  even.v = _mm512_castsi512_ps(_mm512_slli_epi32(kept, 16));
  odd.v = _mm512_castsi512_ps(_mm512_and_si512(kept, _mm512_set1_epi32(int(0xFFFF0000u))));
}

inline F16 load_int8(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)))};
}

}  // namespace
