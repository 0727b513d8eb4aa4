#include "matrix.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ow {
namespace {

constexpr size_t kLargePage = size_t(2) << 20;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

int64_t scale_block(int format) { return format == OW_NVFP4 ? 16 : 32; }

int64_t blocks_of(const OwFp4& w) { return (w.in + kBlockIns - 1) / kBlockIns; }

int64_t tiles_of(const OwFp4& w) { return (w.out + kTileOuts - 1) / kTileOuts; }

int64_t tile_bytes_of(const OwFp4& w) {
  const int64_t scale_bytes = kTileOuts * (kBlockIns / scale_block(w.format));
  return round_up(blocks_of(w) * (kTileOuts * kBlockIns / 2 + scale_bytes), 64);
}

uint8_t code_at(const uint8_t* row, int64_t in) { return in % 2 ? row[in / 2] >> 4 : row[in / 2] & 15; }

// Output rows 16 * index .. of `w` into zeroed memory; rows and inputs that it lacks keep code and scale zero.
void pack_tile(const OwFp4& w, int64_t index, uint8_t* to) {
  uint8_t* to_scales = to + blocks_of(w) * (kTileOuts * kBlockIns / 2);
  const int64_t scales_per_row = w.in / scale_block(w.format);
  const int64_t count = std::min<int64_t>(kTileOuts, w.out - index * kTileOuts);
  for (int64_t o = 0; o < count; ++o) {
    const int64_t row = index * kTileOuts + o;
    const uint8_t* codes = w.codes + row * (w.in / 2);
    for (int64_t in = 0; in < w.in; in += 8) {  // one group: four bytes of this row
      uint8_t* group = to + in / 8 * 64 + o * 4;
      for (int64_t i = 0; i < 4; ++i) group[i] = uint8_t(code_at(codes, in + i) | code_at(codes, in + 4 + i) << 4);
    }
    for (int64_t s = 0; s < scales_per_row; ++s) to_scales[s * kTileOuts + o] = w.scales[row * scales_per_row + s];
  }
}

}  // namespace

void Memory::Free::operator()(uint8_t* p) const { free(p); }

Memory::Memory(size_t num_bytes) {
  const size_t align = num_bytes >= kLargePage ? kLargePage : 64;
  const size_t rounded = (num_bytes + align - 1) / align * align;
  void* p = nullptr;
  if (posix_memalign(&p, align, rounded ? rounded : align) != 0) throw std::bad_alloc();
#if defined(__linux__)
  if (align == kLargePage) madvise(p, rounded, MADV_HUGEPAGE);  // advice: a refusal only costs speed
#endif
  memset(p, 0, rounded);
  data_.reset(static_cast<uint8_t*>(p));
}

size_t Matrix::bytes_of(const std::vector<OwFp4>& weights) {
  size_t total = 0;
  for (const OwFp4& w : weights) total += size_t(tiles_of(w) * tile_bytes_of(w));
  return total;
}

Matrix::Matrix(const std::vector<OwFp4>& weights, bool alternate, uint8_t* memory)
    : format_(weights[0].format),
      num_ins_(weights[0].in),
      num_blocks_(blocks_of(weights[0])),
      tile_bytes_(tile_bytes_of(weights[0])),
      memory_(memory) {
  // The stored weights are doubled, and NVFP4's scales are decoded as 2^-8 of their value.
  const float left_out = format_ == OW_NVFP4 ? 128.0f : 0.5f;
  const auto append = [&](const OwFp4& w, int64_t index) {
    pack_tile(w, index, memory + num_tiles() * tile_bytes_);
    tile_scales_.push_back(w.tensor_scale * left_out);
  };
  if (alternate) {
    for (int64_t index = 0; index < tiles_of(weights[0]); ++index)
      for (const OwFp4& w : weights) append(w, index);
  } else {
    for (const OwFp4& w : weights)
      for (int64_t index = 0; index < tiles_of(w); ++index) append(w, index);
  }
}

Tile Matrix::tile(int64_t i) const {
  const uint8_t* codes = memory_ + i * tile_bytes_;
  return {codes, codes + num_blocks_ * (kTileOuts * kBlockIns / 2), tile_scales_[size_t(i)], num_blocks_};
}

}  // namespace ow
