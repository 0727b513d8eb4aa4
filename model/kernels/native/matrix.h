// FP4 matrices repacked into tiles of 16 output rows, the layout that kernels.h describes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <vector>

#include "kernels.h"

namespace ow {

// Zeroed memory aligned for whole cache lines, on large pages where the system grants them: a step streams through all
// of it, and small pages would cost an address translation every 4 KiB.
class Memory {
 public:
  explicit Memory(size_t num_bytes);
  uint8_t* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(uint8_t* p) const;
  };
  std::unique_ptr<uint8_t, Free> data_;
};

class Matrix {
 public:
  Matrix() = default;

  // Matrices of equal input width and format, one after another; each fills whole tiles. With `alternate`, tiles are
  // dealt in turn instead: tile 0 of each, then tile 1 of each. `memory` has at least bytes_of() bytes.
  Matrix(const std::vector<OwFp4>& weights, bool alternate, uint8_t* memory);
  static size_t bytes_of(const std::vector<OwFp4>& weights);

  int format() const { return format_; }
  int64_t num_ins() const { return num_ins_; }
  int64_t num_blocks() const { return num_blocks_; }
  int64_t num_tiles() const { return int64_t(tile_scales_.size()); }
  Tile tile(int64_t i) const;

 private:
  int format_ = 0;
  int64_t num_ins_ = 0, num_blocks_ = 0, tile_bytes_ = 0;
  const uint8_t* memory_ = nullptr;
  std::vector<float> tile_scales_;
};

}  // namespace ow
