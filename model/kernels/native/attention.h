// Grouped-query attention over one chunk of the slot cache, and the merging of chunks. Included by each isa_*.cpp.
//
// The order of float operations of a query depends on its own keys only: scores are sums over 16 lanes, weights are
// summed by key index modulo 16, values are added key by key, chunks are merged in order.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"
#include "rows.h"

namespace {

using namespace ow;

constexpr int kKeysAhead = 32;

inline void prefetch(const void* p, size_t num_bytes) {
  for (size_t i = 0; i < num_bytes; i += 64) __builtin_prefetch((const char*)p + i);
}

constexpr int kSectionDims = 32;  // dimensions held in two F16, the second zero-padded where only 16 are left

// How a head's vector is loaded: 32 dimensions in two F16, each cache type in the order that loads fastest.
struct Bf16Kv {
  using Element = uint16_t;
  static constexpr bool kScaled = false;
  static void load_section(const uint16_t* p, bool whole, F16& a, F16& b) { load_bf16(p, whole, a, b); }
  static int lane(int dim) { return dim % 2 * 16 + dim / 2; }
};

struct Int8Kv {
  using Element = int8_t;
  static constexpr bool kScaled = true;
  static void load_section(const int8_t* p, bool whole, F16& a, F16& b) {
    a = load_int8(p);
    b = whole ? load_int8(p + 16) : splat(0.0f);
  }
  static int lane(int dim) { return dim; }
};

template <typename Kv>
inline void permute_in(const float* x, int d_head, float scale, float* out, int sections) {
  memset(out, 0, size_t(sections) * kSectionDims * sizeof(float));
  for (int i = 0; i < d_head; ++i) out[i / kSectionDims * kSectionDims + Kv::lane(i % kSectionDims)] = x[i] * scale;
}

template <typename Kv>
inline void permute_out(const float* lanes, int d_head, float* out) {
  for (int i = 0; i < d_head; ++i) out[i] = lanes[i / kSectionDims * kSectionDims + Kv::lane(i % kSectionDims)];
}

// Lane-wise products of one key with `kQueries` queries, summed over sections.
template <typename Kv, int kQueries>
inline void dot_lanes(const typename Kv::Element* key, const float* q, int sections, int d_head, F16* lanes) {
  for (int s = 0; s < sections; ++s) {
    F16 ka, kb;
    Kv::load_section(key + s * kSectionDims, d_head - s * kSectionDims >= kSectionDims, ka, kb);
#pragma GCC unroll 4
    for (int i = 0; i < kQueries; ++i) {
      const float* section = q + (i * sections + s) * kSectionDims;
      const F16 product = s == 0 ? mul(ka, load(section)) : fma(ka, load(section), lanes[i]);
      lanes[i] = fma(kb, load(section + 16), product);
    }
  }
}

// Scores of `kQueries` queries against keys 0..num_keys-1, in groups of 16; the last group's surplus repeats a key.
template <typename Kv, int kSections, int kQueries>
inline void score(const AttendArgs& args, const float* q, int sections_, int num_keys, float* scores) {
  const int sections = kSections ? kSections : sections_;
  const auto* keys = static_cast<const typename Kv::Element*>(args.kv.k);
  const auto* values = static_cast<const typename Kv::Element*>(args.kv.v);
  for (int start = 0; start < num_keys; start += 16) {
    F16 fours[kQueries][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      prefetch(keys + int64_t(start + kKeysAhead + 4 * j) * args.d_head, 4 * sizeof(*keys) * args.d_head);
      prefetch(values + int64_t(start + 4 * j) * args.d_head, 4 * sizeof(*keys) * args.d_head);
      F16 lanes[4][kQueries];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const int key = start + 4 * i + j;
        const int64_t present = key < num_keys ? key : num_keys - 1;
        dot_lanes<Kv, kQueries>(keys + present * args.d_head, q, sections, args.d_head, lanes[i]);
      }
#pragma GCC unroll 4
      for (int n = 0; n < kQueries; ++n) fours[n][j] = sum_to_four(lanes[0][n], lanes[1][n], lanes[2][n], lanes[3][n]);
    }
#pragma GCC unroll 4
    for (int n = 0; n < kQueries; ++n) {
      F16 s = sum_fours(fours[n][0], fours[n][1], fours[n][2], fours[n][3]);
      if (Kv::kScaled) s = mul(s, load_some(args.kv.k_scale + start, num_keys - start));
      store(scores + n * kChunkKeys + start, s);
    }
  }
}

// Scores in place → weights; returns their maximum and sum. What lies beyond `num_keys` in the last 16 becomes zero.
inline void soften(float* scores, int num_keys, float* most, float* weight_sum) {
  const int padded = (num_keys + 15) / 16 * 16;
  for (int i = num_keys; i < padded; ++i) scores[i] = -INFINITY;
  F16 running = load(scores);
  for (int i = 16; i < padded; i += 16) running = max(running, load(scores + i));
  *most = largest(running);
  F16 sums = splat(0.0f);
  for (int i = 0; i < padded; i += 16) {
    F16 w = exp(sub(load(scores + i), splat(*most)));
    store(scores + i, w);
    if (i + 16 > num_keys) {
      for (int j = num_keys; j < padded; ++j) scores[j] = 0.0f;
      w = load(scores + i);
    }
    sums = add(sums, w);
  }
  *weight_sum = sum(sums);
}

// acc += weights of keys begin..end-1 times their values, key by key, for `kQueries` queries.
template <typename Kv, int kSections, int kQueries>
inline void weigh(const AttendArgs& args, const float* weights, int begin, int end, F16 (*acc)[2 * kSections]) {
  const auto* values = static_cast<const typename Kv::Element*>(args.kv.v);
  const auto* next_keys = static_cast<const typename Kv::Element*>(args.kv.k) + int64_t(kChunkKeys) * args.d_head;
  for (int key = begin; key < end; ++key) {
    F16 v[2 * kSections];
#pragma GCC unroll 4
    for (int s = 0; s < kSections; ++s) __builtin_prefetch(next_keys + int64_t(key) * args.d_head + s * 32);
#pragma GCC unroll 4
    for (int s = 0; s < kSections; ++s)
      Kv::load_section(values + int64_t(key) * args.d_head + s * kSectionDims,
                       args.d_head - s * kSectionDims >= kSectionDims, v[2 * s], v[2 * s + 1]);
#pragma GCC unroll 4
    for (int n = 0; n < kQueries; ++n) {
      const F16 w = splat(weights[n * kChunkKeys + key]);
#pragma GCC unroll 8
      for (int s = 0; s < 2 * kSections; ++s) acc[n][s] = fma(w, v[s], acc[n][s]);
    }
  }
}

// `kQueries` queries that see the same keys.
template <typename Kv, int kSections, int kQueries>
inline void attend_some(const AttendArgs& args, const float* q, float* scores, int num_keys, float* partial) {
  score<Kv, kSections, kQueries>(args, q, kSections, num_keys, scores);
  for (int n = 0; n < kQueries; ++n) {
    float* out = partial + n * args.partial_stride;
    soften(scores + n * kChunkKeys, num_keys, out, out + 1);
    if (Kv::kScaled)
      for (int i = 0; i < num_keys; ++i) scores[n * kChunkKeys + i] *= args.kv.v_scale[i];
  }
  F16 acc[kQueries][2 * kSections];
  for (int n = 0; n < kQueries; ++n)
    for (int s = 0; s < 2 * kSections; ++s) acc[n][s] = splat(0.0f);
  weigh<Kv, kSections, kQueries>(args, scores, 0, num_keys, acc);
  for (int n = 0; n < kQueries; ++n) {
    float lanes[kSections * kSectionDims];
    for (int s = 0; s < 2 * kSections; ++s) store(lanes + 16 * s, acc[n][s]);
    permute_out<Kv>(lanes, args.d_head, partial + n * args.partial_stride + 2);
  }
}

template <typename Kv, int kSections>
void attend_sections(const AttendArgs& args) {
  constexpr int kPadded = kSections * kSectionDims;
  float* scores = args.scratch;
  float* q = scores + kMaxQueries * kChunkKeys;
  const float scale = 1.0f / sqrtf(float(args.d_head));
  for (int row = 0; row < args.num_rows; ++row) {
    if (args.num_keys[row] == 0) continue;
    for (int head = 0; head < args.num_heads; ++head)
      permute_in<Kv>(args.q + row * args.q_row_stride + head * args.d_head, args.d_head, scale, q + head * kPadded,
                     kSections);
    float* partial = args.partials + row * args.num_heads * args.partial_stride;
    int head = 0;
    for (; head + 3 <= args.num_heads; head += 3)
      attend_some<Kv, kSections, 3>(args, q + head * kPadded, scores, args.num_keys[row],
                                    partial + head * args.partial_stride);
    for (; head < args.num_heads; ++head)
      attend_some<Kv, kSections, 1>(args, q + head * kPadded, scores, args.num_keys[row],
                                    partial + head * args.partial_stride);
  }
}

template <typename Kv>
void attend(const AttendArgs& args) {
  switch ((args.d_head + kSectionDims - 1) / kSectionDims) {
    case 1: return attend_sections<Kv, 1>(args);
    case 2: return attend_sections<Kv, 2>(args);
    case 3: return attend_sections<Kv, 3>(args);
    default: return attend_sections<Kv, 4>(args);
  }
}

void merge(float* into, const float* next, int d_head) {
  const float most = into[0] > next[0] ? into[0] : next[0];
  float factors[16] = {into[0] - most, next[0] - most};
  store(factors, exp(load(factors)));
  const F16 a = splat(factors[0]), b = splat(factors[1]);
  into[0] = most;
  into[1] = fmaf(into[1], factors[0], next[1] * factors[1]);
  for (int i = 2; i < 2 + d_head; i += 16)
    store(into + i, fma(load(into + i), a, mul(load(next + i), b)));
}

void finish(const float* partial, int d_head, float* out) {
  for (int i = 0; i < d_head; i += 16) store(out + i, div(load(partial + 2 + i), splat(partial[1])));
}

}  // namespace
