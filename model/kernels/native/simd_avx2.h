// Sixteen floats in two AVX registers. See simd_portable.h for what each operation means.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace {

struct F16 {
  __m256 lo, hi;
};

inline F16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, F16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline F16 splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F16 add(F16 a, F16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline F16 sub(F16 a, F16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline F16 mul(F16 a, F16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline F16 div(F16 a, F16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline F16 fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F16 max(F16 a, F16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline F16 min(F16 a, F16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline F16 round(F16 a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kNearest), _mm256_round_ps(a.hi, kNearest)};
}

inline __m256 exp2_whole(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline F16 exp2_whole(F16 n) { return {exp2_whole(n.lo), exp2_whole(n.hi)}; }

inline float sum(F16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float largest(F16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline __m256i magnitude_bits(__m256 a) {
  return _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7FFFFFFF));
}
inline __m256 larger_magnitude(__m256 a, __m256 b) {
  return _mm256_castsi256_ps(_mm256_max_epu32(magnitude_bits(a), magnitude_bits(b)));
}
inline F16 larger_magnitude(F16 a, F16 b) { return {larger_magnitude(a.lo, b.lo), larger_magnitude(a.hi, b.hi)}; }
inline float largest_magnitude(F16 a) {
  const __m256i eight = _mm256_max_epu32(magnitude_bits(a.lo), magnitude_bits(a.hi));
  const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epu32(two, _mm_shuffle_epi32(two, 0xB1))));
}

inline int32_t store_int8(int8_t* p, F16 whole) {
  const __m256i lo = _mm256_cvtps_epi32(whole.lo), hi = _mm256_cvtps_epi32(whole.hi);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xD8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128((__m128i*)p, bytes);
  const __m256i eight = _mm256_add_epi32(lo, hi);
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

// [four sums of a, four of b] of two vectors whose halves were added already.
inline __m256 sum_pair(F16 a, F16 b) {
  const __m256 x = _mm256_add_ps(a.lo, a.hi), y = _mm256_add_ps(b.lo, b.hi);
  return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
}
inline F16 sum_to_four(F16 a0, F16 a1, F16 a2, F16 a3) { return {sum_pair(a0, a1), sum_pair(a2, a3)}; }

inline __m256 sum_fours(__m256 b0, __m256 b1, __m256 b2, __m256 b3) {
  const __m256 b01 = _mm256_add_ps(_mm256_unpacklo_ps(b0, b1), _mm256_unpackhi_ps(b0, b1));
  const __m256 b23 = _mm256_add_ps(_mm256_unpacklo_ps(b2, b3), _mm256_unpackhi_ps(b2, b3));
  const __m256d lo = _mm256_unpacklo_pd(_mm256_castps_pd(b01), _mm256_castps_pd(b23));
  const __m256d hi = _mm256_unpackhi_pd(_mm256_castps_pd(b01), _mm256_castps_pd(b23));
  return _mm256_add_ps(_mm256_castpd_ps(lo), _mm256_castpd_ps(hi));
}
inline F16 sum_fours(F16 b0, F16 b1, F16 b2, F16 b3) {
  return {sum_fours(b0.lo, b1.lo, b2.lo, b3.lo), sum_fours(b0.hi, b1.hi, b2.hi, b3.hi)};
}

inline void split_bf16(__m256i pairs, __m256& even, __m256& odd) {
  even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
  odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(int(0xFFFF0000u))));
}
inline void load_bf16(const uint16_t* p, bool whole, F16& even, F16& odd) {
  const __m256i upper = whole ? _mm256_loadu_si256((const __m256i*)(p + 16)) : _mm256_setzero_si256();
  split_bf16(_mm256_loadu_si256((const __m256i*)p), even.lo, odd.lo);
  split_bf16(upper, even.hi, odd.hi);
}

inline __m256 load_int8x8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
}
inline F16 load_int8(const int8_t* p) { return {load_int8x8(p), load_int8x8(p + 8)}; }

}  // namespace
