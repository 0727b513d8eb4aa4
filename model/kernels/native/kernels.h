// What one instruction set path offers: a table of functions over plain memory. Knows no threads and no layers.
//
// Each path (isa_*.cpp) fills one table. All paths perform the same integer sums and the same float operations in the
// same order, so their results are equal bit for bit; a row's result never depends on other rows.
#pragma once

#include <stdint.h>

#include "abi.h"

namespace ow {

constexpr int kTileOuts = 16;       // output rows interleaved in one tile
constexpr int kBlockIns = 32;       // inputs quantized together: two NVFP4 blocks, one MXFP4 block
constexpr int kChunkKeys = 256;     // keys of one attention partial, by absolute index
constexpr int kMaxQueries = 64;     // queries (rows x heads of a group) of one attention call

// 32 activations of one row as signed bytes, or as (high, low) byte pairs meaning 256 * high + low.
// `offset` is -12 times the sum of q over the first 16, the last 16 and all: weights are stored plus 12.
template <int kParts>
struct alignas(16) ActivationBlock {
  int8_t q[kParts][kBlockIns];
  int32_t offset[kParts][3];
  float scale;
};
static_assert(sizeof(ActivationBlock<1>) == 48 && sizeof(ActivationBlock<2>) == 96, "layout of activation blocks");

inline int64_t activation_block_bytes(int activation) {
  return activation == OW_ACTIVATION_INT8 ? sizeof(ActivationBlock<1>) : sizeof(ActivationBlock<2>);
}

// 16 output rows of a packed matrix. Per block of 32 inputs: 256 bytes of codes as four groups of 64, group g holding
// inputs 8g..8g+3 in the low nibbles and 8g+4..8g+7 in the high ones, byte 4 * out + input % 4; and 16 raw scale
// bytes per scale block, one per output row.
struct Tile {
  const uint8_t* codes;
  const uint8_t* scales;
  float scale;  // of all: the tensor scale, and the powers of two that the stored forms leave out
  int64_t num_blocks;
};

// Keys and values of one slot and head from one chunk on.
struct KvChunk {
  const void* k;  // [keys, d_head]
  const void* v;
  const float* k_scale;  // [keys], int8 only
  const float* v_scale;
};

// The result of attention over one chunk or several: softmax not yet divided by its sum.
// Memory of one query: max, sum, then d_head weighted values.
inline int64_t partial_floats(int d_head) { return 2 + d_head; }

// Queries of consecutive rows of one slot that share a key/value head, over one chunk.
struct AttendArgs {
  KvChunk kv;
  const float* q;       // query (row, head) at q + row * q_row_stride + head * d_head
  int64_t q_row_stride;
  int num_rows;
  int num_heads;        // sharing the key/value head
  int d_head;
  const int* num_keys;  // [num_rows]: how many keys of the chunk each row sees; non-decreasing, the last above zero
  float* partials;      // query (row, head) at partials + (row * num_heads + head) * partial_stride
  int64_t partial_stride;
  float* scratch;       // [kMaxQueries, kChunkKeys] scores, then [kMaxQueries, d_head rounded up to 32] queries
};

inline int64_t attend_scratch_floats(int d_head) { return int64_t(kMaxQueries) * (kChunkKeys + (d_head + 31) / 32 * 32); }

struct Kernels {
  // x [num_ins] -> blocks; inputs beyond `num_ins` up to a whole block count as zero.
  void (*quantize[2])(const float* x, int64_t num_ins, void* blocks);
  // RMSNorm of one row into y [width].
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t width, float* y);
  // One tile times rows of activation blocks: out[row * out_stride + 0..15]. By [OwFormat][OwActivation].
  void (*multiply[2][2])(const Tile& tile, const void* rows, int64_t num_rows, float* out, int64_t out_stride);
  // h = silu(gate) * up, elementwise.
  void (*swiglu)(const float* gate, const float* up, int64_t count, float* h);
  // Rotates one head in place, half-split.
  void (*rotate)(float* x, const float* cos, const float* sin, int d_head);
  // One head's key or value into the cache. By OwKv; `scale` is written for int8 only.
  void (*store_kv[2])(const float* x, int d_head, void* out, float* scale);
  void (*attend[2])(const AttendArgs& args);
  // into = into merged with next, both partials of one query.
  void (*merge)(float* into, const float* next, int d_head);
  // out = partial's weighted values / sum.
  void (*finish)(const float* partial, int d_head, float* out);
};

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx2VnniKernels;
extern const Kernels kAvx512Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

// The table of a path, or null where this CPU cannot run it.
const Kernels* kernels_of(int isa);

}  // namespace ow
