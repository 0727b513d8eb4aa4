#include "linear.h"

#include <string.h>

#include <algorithm>

namespace ow {

Activations::Activations(const Kernels& kernels, int activation, int64_t max_rows, int64_t max_ins)
    : kernels_(kernels),
      activation_(activation),
      memory_(size_t(max_rows * ((max_ins + kBlockIns - 1) / kBlockIns) * activation_block_bytes(activation))) {}

void Activations::quantize(int64_t row, const float* x, int64_t num_ins) {
  const int64_t row_bytes = (num_ins + kBlockIns - 1) / kBlockIns * activation_block_bytes(activation_);
  kernels_.quantize[activation_](x, num_ins, memory_.data() + row * row_bytes);
}

Linear::Linear(const OwFp4& weight, int activation, const Kernels& kernels, Pool& pool)
    : num_outs_(weight.out),
      memory_(Matrix::bytes_of({weight})),
      matrix_({weight}, false, memory_.data()),
      kernels_(kernels),
      pool_(pool),
      activations_(kernels, activation, kBatchRows, weight.in) {}

void Linear::forward(const float* x, int64_t num_rows, float* y) {
  const Pool::Operation operation(pool_);
  for (int64_t row = 0; row < num_rows; row += kBatchRows)
    forward_batch(x + row * matrix_.num_ins(), std::min(kBatchRows, num_rows - row), y + row * num_outs_);
}

void Linear::forward_batch(const float* x, int64_t num_rows, float* y) {
  const int64_t num_ins = matrix_.num_ins();
  for_each_row(pool_, num_rows, [&](int64_t row) { activations_.quantize(row, x + row * num_ins, num_ins); });
  const auto multiply = kernels_.multiply[matrix_.format()][activations_.activation()];
  pool_.run(matrix_.num_tiles(), [&](int64_t tile, int) {
    float out[kBatchRows * kTileOuts];
    multiply(matrix_.tile(tile), activations_.rows(), num_rows, out, kTileOuts);
    const int64_t first = tile * kTileOuts, count = std::min<int64_t>(kTileOuts, num_outs_ - first);
    for (int64_t row = 0; row < num_rows; ++row)
      memcpy(y + row * num_outs_ + first, out + row * kTileOuts, size_t(count) * sizeof(float));
  });
}

}  // namespace ow
