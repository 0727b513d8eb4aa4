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

inline float e4m3_times_2_to_minus_8(uint8_t bits) {
  return bits < 8 ? ldexpf(float(bits), -17) : ldexpf(float(8 + bits % 8), bits / 8 - 18);
}

inline float e8m0(uint8_t bits) { return ldexpf(1.0f, int(bits) - 127); }

// Inputs first..last-1 of one block for one output row.
template <int kParts>
inline float whole_sum(const uint8_t* codes, int out, const ActivationBlock<kParts>& a, int first, int last) {
  int32_t s[kParts] = {};
  for (int i = first; i < last; ++i) {
    const uint8_t byte = codes[i / 8 * 64 + out * 4 + i % 4];
    const int32_t w = kDoubled[i % 8 < 4 ? byte & 15 : byte >> 4];
    for (int part = 0; part < kParts; ++part) s[part] += w * a.q[part][i];
  }
  return float(kParts == 2 ? s[0] * 256 + s[kParts - 1] : s[0]);
}

template <int kFormat, int kParts>
void multiply(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride) {
  constexpr int kScaleBytes = (kFormat == OW_NVFP4 ? 2 : 1) * kTileOuts;
  const auto* blocks = static_cast<const ActivationBlock<kParts>*>(rows);
  for (int64_t row = 0; row < num_rows; ++row, blocks += tile.num_blocks) {
    for (int o = 0; o < kTileOuts; ++o) {
      float acc = 0.0f;
      for (int64_t b = 0; b < tile.num_blocks; ++b) {
        const ActivationBlock<kParts>& a = blocks[b];
        const uint8_t* codes = tile.codes + b * 256;
        const uint8_t* scales = tile.scales + b * kScaleBytes + o;
        float scaled;
        if (kFormat == OW_NVFP4) {
          scaled = whole_sum(codes, o, a, 0, 16) * e4m3_times_2_to_minus_8(scales[0]);
          scaled = fmaf(whole_sum(codes, o, a, 16, 32), e4m3_times_2_to_minus_8(scales[kTileOuts]), scaled);
        } else {
          scaled = whole_sum(codes, o, a, 0, 32) * e8m0(scales[0]);
        }
        acc = fmaf(scaled, a.scale, acc);
      }
      out[row * out_stride + o] = acc * tile.scale;
    }
  }
}

}  // namespace
