#include "decoder.h"

#include <string.h>

#include <algorithm>

namespace ow {
namespace {

constexpr int kGroupRows = 8;  // rows of one attention task

size_t bytes_of(const OwDecoderConfig& config, const OwLayer* layers) {
  size_t total = 0;
  for (int i = 0; i < config.num_layers; ++i) {
    const OwLayer& l = layers[i];
    for (const auto& weights : {std::vector<OwFp4>{l.q, l.k, l.v}, {l.o}, {l.gate, l.up}, {l.down}})
      total += Matrix::bytes_of(weights);
  }
  return total;
}

float* scale_at(float* scales, int64_t at) { return scales ? scales + at : nullptr; }

int chunks_of(int64_t index) { return int(index / kChunkKeys) + 1; }

}  // namespace

Decoder::Decoder(const OwDecoderConfig& config, const OwLayer* layers, const float* final_norm, const OwCache& cache,
                 const Kernels& kernels, Pool& pool)
    : config_(config),
      cache_(cache),
      kernels_(kernels),
      pool_(pool),
      weights_(bytes_of(config, layers)),
      final_norm_(final_norm, final_norm + config.d_model),
      activations_(kernels, config.activation, kBatchRows,
                   std::max<int64_t>({config.d_model, config.d_ffn, int64_t(config.num_heads) * config.d_head})),
      x_(size_t(kBatchRows * config.d_model)),
      normed_(x_.size()),
      qkv_(size_t(kBatchRows * qkv_width())),
      attended_(size_t(kBatchRows * q_width())),
      h_(size_t(kBatchRows * config.d_ffn)) {
  uint8_t* next = weights_.data();
  const auto pack = [&](const std::vector<OwFp4>& weights, bool alternate) {
    Matrix matrix(weights, alternate, next);
    next += Matrix::bytes_of(weights);
    return matrix;
  };
  for (int i = 0; i < config.num_layers; ++i) {
    const OwLayer& l = layers[i];
    Layer layer;
    layer.attention_norm.assign(l.attention_norm, l.attention_norm + config.d_model);
    layer.ffn_norm.assign(l.ffn_norm, l.ffn_norm + config.d_model);
    layer.qkv = pack({l.q, l.k, l.v}, false);  // in the order in which a step reads them
    layer.o = pack({l.o}, false);
    layer.gate_up = pack({l.gate, l.up}, true);
    layer.down = pack({l.down}, false);
    layers_.push_back(std::move(layer));
  }
  const size_t group_partials = size_t(2 * kGroupRows * heads_per_group() * partial_floats(config.d_head));
  thread_scratch_.resize(size_t(pool.num_threads()));
  for (auto& scratch : thread_scratch_) scratch.resize(size_t(attend_scratch_floats(config.d_head)) + group_partials);
}

bool Decoder::forward(const OwRows& rows) {
  for (int64_t n = 0; n < rows.num_rows; ++n) {
    if (rows.slot[n] < 0 || rows.slot[n] >= cache_.num_slots) return false;
    if (rows.index[n] < 0 || rows.index[n] >= cache_.capacity) return false;
    if (n > 0 && rows.slot[n] == rows.slot[n - 1] && rows.index[n] <= rows.index[n - 1]) return false;
  }
  const Pool::Operation operation(pool_);
  const int64_t width = config_.d_model, half = config_.d_head / 2;
  for (int64_t n = 0; n < rows.num_rows; n += kBatchRows)
    forward_batch({rows.x + n * width, rows.slot + n, rows.index + n, rows.cos + n * half, rows.sin + n * half,
                   rows.hidden + n * width, std::min(kBatchRows, rows.num_rows - n)});
  return true;
}

void Decoder::forward_batch(const OwRows& rows) {
  const int64_t width = config_.d_model;
  memcpy(x_.data(), rows.x, size_t(rows.num_rows * width) * sizeof(float));
  plan_attention(rows);
  for (int i = 0; i < config_.num_layers; ++i) forward_layer(i, rows);
  for_each_row(pool_, rows.num_rows, [&](int64_t n) {
    kernels_.rms_norm(&x_[size_t(n * width)], final_norm_.data(), config_.norm_eps, width, rows.hidden + n * width);
  });
}

void Decoder::forward_layer(int index, const OwRows& rows) {
  const Layer& layer = layers_[size_t(index)];
  const int64_t num_rows = rows.num_rows, width = config_.d_model;

  normalize(layer.attention_norm, num_rows);
  multiply(layer.qkv, num_rows, 1, [&](int64_t tile, const float* out) {
    for (int64_t n = 0; n < num_rows; ++n)
      memcpy(&qkv_[size_t(n * qkv_width() + tile * kTileOuts)], out + n * kTileOuts, kTileOuts * sizeof(float));
  });
  for_each_row(pool_, num_rows, [&](int64_t n) { store_rotated(index, rows, n); });
  attend(index, rows);
  for_each_row(pool_, num_rows, [&](int64_t n) {
    if (split_) join_chunks(rows, n);
    activations_.quantize(n, &attended_[size_t(n * q_width())], q_width());
  });
  const auto add_to_x = [&](int64_t tile, const float* out) {
    for (int64_t n = 0; n < num_rows; ++n)
      for (int64_t i = 0; i < kTileOuts; ++i) x_[size_t(n * width + tile * kTileOuts + i)] += out[n * kTileOuts + i];
  };
  multiply(layer.o, num_rows, 1, add_to_x);

  normalize(layer.ffn_norm, num_rows);
  multiply(layer.gate_up, num_rows, 2, [&](int64_t tile, const float* gate) {
    const float* up = gate + num_rows * kTileOuts;
    for (int64_t n = 0; n < num_rows; ++n)
      kernels_.swiglu(gate + n * kTileOuts, up + n * kTileOuts, kTileOuts,
                      &h_[size_t(n * config_.d_ffn + tile / 2 * kTileOuts)]);
  });
  for_each_row(pool_, num_rows, [&](int64_t n) {
    activations_.quantize(n, &h_[size_t(n * config_.d_ffn)], config_.d_ffn);
  });
  multiply(layer.down, num_rows, 1, add_to_x);
}

void Decoder::normalize(const std::vector<float>& weight, int64_t num_rows) {
  const int64_t width = config_.d_model;
  for_each_row(pool_, num_rows, [&](int64_t n) {
    float* normed = &normed_[size_t(n * width)];
    kernels_.rms_norm(&x_[size_t(n * width)], weight.data(), config_.norm_eps, width, normed);
    activations_.quantize(n, normed, width);
  });
}

// The activations times `tiles_per_task` neighbouring tiles at a time; store(first tile, out), where `out` holds
// [num_rows, 16] for each of them.
template <typename Store>
void Decoder::multiply(const Matrix& matrix, int64_t num_rows, int64_t tiles_per_task, const Store& store) {
  const auto multiply_tile = kernels_.multiply[matrix.format()][config_.activation];
  pool_.run(matrix.num_tiles() / tiles_per_task, [&](int64_t task, int) {
    float out[2 * kBatchRows * kTileOuts];
    for (int64_t i = 0; i < tiles_per_task; ++i)
      multiply_tile(matrix.tile(task * tiles_per_task + i), activations_.rows(), num_rows,
                    out + i * num_rows * kTileOuts, kTileOuts);
    store(task * tiles_per_task, out);
  });
}

// Rotates a row's queries and keys, and writes its keys and values to the cache.
void Decoder::store_rotated(int layer, const OwRows& rows, int64_t row) {
  const int d_head = config_.d_head;
  const float *cos = rows.cos + row * (d_head / 2), *sin = rows.sin + row * (d_head / 2);
  float* q = &qkv_[size_t(row * qkv_width())];
  for (int head = 0; head < config_.num_heads + config_.num_kv_heads; ++head)
    kernels_.rotate(q + head * d_head, cos, sin, d_head);
  const float *k = q + q_width(), *v = k + kv_width();
  const int64_t element_bytes = cache_.kv == OW_KV_BF16 ? 2 : 1;
  for (int head = 0; head < config_.num_kv_heads; ++head) {
    const int64_t at = position_of(layer, rows.slot[row], head, rows.index[row]);
    const int64_t offset = at * d_head * element_bytes;
    const auto store = kernels_.store_kv[cache_.kv];
    store(k + head * d_head, d_head, static_cast<uint8_t*>(cache_.k) + offset, scale_at(cache_.k_scale, at));
    store(v + head * d_head, d_head, static_cast<uint8_t*>(cache_.v) + offset, scale_at(cache_.v_scale, at));
  }
}

void Decoder::plan_attention(const OwRows& rows) {
  tasks_.clear();
  max_chunks_ = 0;
  for (int64_t first = 0; first < rows.num_rows;) {
    int64_t end = first + 1;
    while (end < rows.num_rows && end - first < kGroupRows && rows.slot[end] == rows.slot[first]) ++end;
    const int num_chunks = chunks_of(rows.index[end - 1]);
    max_chunks_ = std::max(max_chunks_, num_chunks);
    for (int head = 0; head < config_.num_kv_heads; ++head)
      tasks_.push_back({first, int(end - first), head, 0, num_chunks});
    first = end;
  }
  split_ = max_chunks_ > 1 && int64_t(tasks_.size()) < 8 * pool_.num_threads();
  if (!split_) return;
  std::vector<AttendTask> whole;
  whole.swap(tasks_);
  for (const AttendTask& task : whole)
    for (int chunk = task.first_chunk; chunk < task.end_chunk; ++chunk)
      tasks_.push_back({task.first_row, task.num_rows, task.kv_head, chunk, chunk + 1});
  const size_t needed = size_t(rows.num_rows * config_.num_heads * max_chunks_ * partial_floats(config_.d_head));
  if (partials_.size() < needed) partials_.resize(needed);
}

void Decoder::attend(int layer, const OwRows& rows) {
  const int64_t floats = partial_floats(config_.d_head);
  pool_.run(int64_t(tasks_.size()), [&](int64_t i, int thread) {
    const AttendTask& task = tasks_[size_t(i)];
    if (!split_) return attend_whole(task, layer, rows, thread);
    const int64_t first_query = task.first_row * config_.num_heads + task.kv_head * heads_per_group();
    for (int row = 0; row < task.num_rows; ++row) {
      AttendTask one = task;
      one.first_row += row;
      one.num_rows = 1;
      float* partials = &partials_[size_t(((first_query + row * config_.num_heads) * max_chunks_ + task.first_chunk) * floats)];
      attend_chunk(one, task.first_chunk, layer, rows, partials, max_chunks_ * floats, thread);
    }
  });
}

// Chunks in order on one thread: the same additions as chunks computed apart and joined.
void Decoder::attend_whole(const AttendTask& task, int layer, const OwRows& rows, int thread) {
  const int num_heads = heads_per_group();
  const int64_t floats = partial_floats(config_.d_head);
  float* sum = thread_scratch_[size_t(thread)].data() + attend_scratch_floats(config_.d_head);
  float* next = sum + kGroupRows * num_heads * floats;
  for (int chunk = task.first_chunk; chunk < task.end_chunk; ++chunk) {
    attend_chunk(task, chunk, layer, rows, chunk == 0 ? sum : next, floats, thread);
    for (int row = 0; chunk > 0 && row < task.num_rows; ++row)
      for (int head = 0; chunk < chunks_of(rows.index[task.first_row + row]) && head < num_heads; ++head)
        kernels_.merge(sum + (row * num_heads + head) * floats, next + (row * num_heads + head) * floats, config_.d_head);
  }
  for (int row = 0; row < task.num_rows; ++row)
    for (int head = 0; head < num_heads; ++head)
      kernels_.finish(sum + (row * num_heads + head) * floats, config_.d_head,
                      &attended_[size_t((task.first_row + row) * q_width() +
                                        (task.kv_head * num_heads + head) * config_.d_head)]);
}

void Decoder::attend_chunk(const AttendTask& task, int chunk, int layer, const OwRows& rows, float* partials,
                           int64_t partial_stride, int thread) {
  const int64_t first_key = int64_t(chunk) * kChunkKeys;
  const int64_t at = position_of(layer, rows.slot[task.first_row], task.kv_head, first_key);
  const int64_t offset = at * config_.d_head * (cache_.kv == OW_KV_BF16 ? 2 : 1);
  int num_keys[kGroupRows];
  for (int row = 0; row < task.num_rows; ++row) {
    const int64_t seen = rows.index[task.first_row + row] + 1 - first_key;
    num_keys[row] = int(std::max<int64_t>(0, std::min<int64_t>(seen, kChunkKeys)));
  }
  AttendArgs args;
  args.kv.k = static_cast<const uint8_t*>(cache_.k) + offset;
  args.kv.v = static_cast<const uint8_t*>(cache_.v) + offset;
  args.kv.k_scale = scale_at(cache_.k_scale, at);
  args.kv.v_scale = scale_at(cache_.v_scale, at);
  args.q = &qkv_[size_t(task.first_row * qkv_width() + task.kv_head * heads_per_group() * config_.d_head)];
  args.q_row_stride = qkv_width();
  args.num_rows = task.num_rows;
  args.num_heads = heads_per_group();
  args.d_head = config_.d_head;
  args.num_keys = num_keys;
  args.partials = partials;
  args.partial_stride = partial_stride;
  args.scratch = thread_scratch_[size_t(thread)].data();
  kernels_.attend[cache_.kv](args);
}

void Decoder::join_chunks(const OwRows& rows, int64_t row) {
  const int64_t floats = partial_floats(config_.d_head);
  for (int64_t head = 0; head < config_.num_heads; ++head) {
    float* sum = &partials_[size_t((row * config_.num_heads + head) * max_chunks_ * floats)];
    for (int chunk = 1; chunk < chunks_of(rows.index[row]); ++chunk)
      kernels_.merge(sum, sum + chunk * floats, config_.d_head);
    kernels_.finish(sum, config_.d_head, &attended_[size_t(row * q_width() + head * config_.d_head)]);
  }
}

}  // namespace ow
