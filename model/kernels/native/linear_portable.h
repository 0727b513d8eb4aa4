// One tile times rows of rounded activations in plain C++: the definition that the other linear_*.h follow.
//
// Per block of 32 inputs: whole-number sums of (weight * 2 + 12) * q, exact; times the weight scales, times the
// activation scale, added block by block.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"

namespace {

using namespace ow;

constexpr int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // twice the E2M1 value

inline float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// A scale as it is stored in a tile: E4M3 as 2^-8 of its value, E8M0 as it is. Subnormals have no exponent to move.
inline float e4m3_times_2_to_minus_8(uint8_t bits) {
  return bits < 8 ? float(bits) * 0x1p-17f : from_bits(uint32_t(bits + (112 << 3)) << 20);
}

inline float e8m0(uint8_t bits) { return from_bits(bits == 0 ? 1u << 22 : uint32_t(bits) << 23); }

// One block of a tile: by input, the doubled weights of its 16 output rows.
inline void unpack(const uint8_t* codes, int16_t (*w)[kTileOuts]) {
  for (int i = 0; i < kBlockIns; ++i)
    for (int o = 0; o < kTileOuts; ++o) {
      const uint8_t byte = codes[i / 8 * 64 + o * 4 + i % 4];
      w[i][o] = kDoubled[i % 8 < 4 ? byte & 15 : byte >> 4];
    }
}

// Sums over `count` inputs, for 16 output rows.
template <int kParts>
inline void whole_sums(const int16_t (*w)[kTileOuts], const ActivationBlock<kParts>& a, int first, int count,
                       float* sums) {
  int32_t s[kTileOuts] = {};
  for (int part = 0; part < kParts; ++part) {
    if (part > 0)
      for (int o = 0; o < kTileOuts; ++o) s[o] *= 256;
    for (int i = first; i < first + count; ++i)
      for (int o = 0; o < kTileOuts; ++o) s[o] += w[i][o] * a.q[part][i];
  }
  for (int o = 0; o < kTileOuts; ++o) sums[o] = float(s[o]);
}

template <int kFormat, int kParts>
void multiply(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride) {
  constexpr int kScaleBlock = kFormat == OW_NVFP4 ? 16 : 32;
  const auto* blocks = static_cast<const ActivationBlock<kParts>*>(rows);
  const uint8_t* scales = tile.scales;
  for (int64_t row = 0; row < num_rows; ++row)
    for (int o = 0; o < kTileOuts; ++o) out[row * out_stride + o] = 0.0f;
  for (int64_t b = 0; b < tile.num_blocks; ++b) {
    int16_t w[kBlockIns][kTileOuts];
    unpack(tile.codes + b * 256, w);
    float steps[kBlockIns / kScaleBlock][kTileOuts];
    for (auto& step : steps)
      for (int o = 0; o < kTileOuts; ++o, ++scales)
        step[o] = kFormat == OW_NVFP4 ? e4m3_times_2_to_minus_8(*scales) : e8m0(*scales);
    for (int64_t row = 0; row < num_rows; ++row) {
      const ActivationBlock<kParts>& a = blocks[row * tile.num_blocks + b];
      float scaled[kTileOuts], sums[kTileOuts];
      whole_sums(w, a, 0, kScaleBlock, sums);
      for (int o = 0; o < kTileOuts; ++o) scaled[o] = sums[o] * steps[0][o];
      if (kFormat == OW_NVFP4) {
        whole_sums(w, a, kScaleBlock, kScaleBlock, sums);
        for (int o = 0; o < kTileOuts; ++o) scaled[o] = fmaf(sums[o], steps[kBlockIns / kScaleBlock - 1][o], scaled[o]);
      }
      float* acc = out + row * out_stride;
      for (int o = 0; o < kTileOuts; ++o) acc[o] = fmaf(scaled[o], a.scale, acc[o]);
    }
  }
  for (int64_t row = 0; row < num_rows; ++row)
    for (int o = 0; o < kTileOuts; ++o) out[row * out_stride + o] *= tile.scale;
}

}  // namespace
