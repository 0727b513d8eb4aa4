// All layers of a decoder in one call, over ragged rows of several slots of a key/value cache.
#pragma once

#include <vector>

#include "linear.h"

namespace ow {

class Decoder {
 public:
  Decoder(const OwDecoderConfig& config, const OwLayer* layers, const float* final_norm, const OwCache& cache,
          const Kernels& kernels, Pool& pool);

  // False where a slot or index lies outside the cache, or a slot's rows do not come in increasing index; nothing is
  // changed then.
  bool forward(const OwRows& rows);

 private:
  struct Layer {
    std::vector<float> attention_norm, ffn_norm;
    Matrix qkv, o, gate_up, down;
  };
  // Consecutive rows of one slot, one key/value head, and chunks to attend over: all of them, or one.
  struct AttendTask {
    int64_t first_row;
    int num_rows;
    int kv_head;
    int first_chunk, end_chunk;
  };

  void forward_batch(const OwRows& rows);
  void forward_layer(int index, const OwRows& rows);
  void normalize(const std::vector<float>& weight, int64_t num_rows);
  void store_rotated(int layer, const OwRows& rows, int64_t row);
  void plan_attention(const OwRows& rows);
  void attend(int layer, const OwRows& rows);
  void attend_whole(const AttendTask& task, int layer, const OwRows& rows, int thread);
  void attend_chunk(const AttendTask& task, int chunk, int layer, const OwRows& rows, float* partials,
                    int64_t partial_stride, int thread);
  void join_chunks(const OwRows& rows, int64_t row);
  template <typename Store>
  void multiply(const Matrix& matrix, int64_t num_rows, int64_t tiles_per_task, const Store& store);

  int64_t position_of(int layer, int64_t slot, int64_t kv_head, int64_t index) const {
    return ((layer * cache_.num_slots + slot) * config_.num_kv_heads + kv_head) * cache_.capacity + index;
  }
  int heads_per_group() const { return config_.num_heads / config_.num_kv_heads; }
  int64_t q_width() const { return int64_t(config_.num_heads) * config_.d_head; }
  int64_t kv_width() const { return int64_t(config_.num_kv_heads) * config_.d_head; }
  int64_t qkv_width() const { return q_width() + 2 * kv_width(); }

  OwDecoderConfig config_;
  OwCache cache_;
  const Kernels& kernels_;
  Pool& pool_;
  Memory weights_;
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;

  // Scratch for kBatchRows rows.
  Activations activations_;
  std::vector<float> x_, normed_, qkv_, attended_, h_;
  std::vector<AttendTask> tasks_;
  bool split_ = false;         // each task is one chunk, and `join_chunks` puts them together
  int max_chunks_ = 0;         // of any row of the batch
  std::vector<float> partials_;                    // [row, head, chunk], when split
  std::vector<std::vector<float>> thread_scratch_;
};

}  // namespace ow
