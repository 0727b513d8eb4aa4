// One FP4 linear layer: rows of floats in, rows of floats out.
#pragma once

#include <vector>

#include "matrix.h"
#include "pool.h"

namespace ow {

// Rows computed together at most; more are computed in several passes. Bounds scratch memory, never changes results.
constexpr int64_t kBatchRows = 256;

// Rows of rounded activations, the form in which every matrix reads its input.
class Activations {
 public:
  Activations(const Kernels& kernels, int activation, int64_t max_rows, int64_t max_ins);
  void quantize(int64_t row, const float* x, int64_t num_ins);
  // All rows, each `num_blocks` blocks long; every row of one use has the same width.
  const void* rows() const { return memory_.data(); }
  int activation() const { return activation_; }

 private:
  const Kernels& kernels_;
  int activation_;
  Memory memory_;
};

class Linear {
 public:
  Linear(const OwFp4& weight, int activation, const Kernels& kernels, Pool& pool);
  void forward(const float* x, int64_t num_rows, float* y);

 private:
  void forward_batch(const float* x, int64_t num_rows, float* y);

  int64_t num_outs_;
  Memory memory_;
  Matrix matrix_;
  const Kernels& kernels_;
  Pool& pool_;
  Activations activations_;
};

// Calls task(row) for each row, on the caller alone where there are too few to share.
template <typename Task>
void for_each_row(Pool& pool, int64_t num_rows, const Task& task) {
  if (num_rows <= 2) {
    for (int64_t row = 0; row < num_rows; ++row) task(row);
  } else {
    pool.run(num_rows, [&](int64_t row, int) { task(row); });
  }
}

}  // namespace ow
