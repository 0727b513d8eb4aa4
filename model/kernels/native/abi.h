// The C ABI between native.py and the kernels: plain structs and pointers, mirrored field by field in native_abi.py.
//
// Every function returns an OwStatus, or a handle that is null after a failure. Shapes are validated by the caller;
// pointers must stay valid as said at each struct. One call at a time runs on a pool; further callers wait.
#pragma once

#include <stdint.h>

#if defined(__GNUC__)
#define OW_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define OW_EXPORT extern "C"
#endif

enum OwStatus { OW_OK = 0, OW_OUT_OF_MEMORY = 1, OW_UNSUPPORTED = 2, OW_BAD_ARGUMENT = 3 };

enum OwIsa {
  OW_ISA_PORTABLE = 0,
  OW_ISA_AVX2 = 1,
  OW_ISA_AVX2_VNNI = 2,
  OW_ISA_AVX512 = 3,
  OW_ISA_NEON = 4,
  OW_NUM_ISAS = 5
};

enum OwFormat { OW_NVFP4 = 0, OW_MXFP4 = 1 };

// Activations are rounded per row and block of 32 to 8 bits, or to 16 bits held as two bytes.
enum OwActivation { OW_ACTIVATION_INT8 = 0, OW_ACTIVATION_INT16 = 1 };

enum OwKv { OW_KV_BF16 = 0, OW_KV_INT8 = 1 };

// A packed FP4 matrix [out, in]; only read while an object is created from it.
struct OwFp4 {
  const uint8_t* codes;   // [out, in / 2], even input index in the low nibble
  const uint8_t* scales;  // [out, in / block]
  int64_t out;
  int64_t in;
  float tensor_scale;
  int32_t format;  // OwFormat
};

struct OwDecoderConfig {
  int32_t num_layers;
  int32_t d_model;
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t d_head;
  int32_t d_ffn;
  float norm_eps;
  int32_t activation;  // OwActivation
};

struct OwLayer {
  const float* attention_norm;  // [d_model]
  const float* ffn_norm;        // [d_model]
  OwFp4 q, k, v, o, gate, up, down;
};

// The slot cache [layers, slots, kv_heads, capacity, d_head], contiguous; must outlive the decoder.
struct OwCache {
  void* k;
  void* v;
  float* k_scale;  // [layers, slots, kv_heads, capacity] for int8, else null
  float* v_scale;
  int64_t num_slots;
  int64_t capacity;
  int32_t kv;  // OwKv
};

// Ragged rows of several slots. Rows of one slot come in increasing index.
struct OwRows {
  const float* x;        // [num_rows, d_model]
  const int32_t* slot;   // [num_rows]
  const int32_t* index;  // [num_rows]
  const float* cos;      // [num_rows, d_head / 2]
  const float* sin;      // [num_rows, d_head / 2]
  float* hidden;         // [num_rows, d_model], written
  int64_t num_rows;
};

struct OwPool;
struct OwLinear;
struct OwDecoder;

// The best path this CPU can run, and whether it can run a given one.
OW_EXPORT int32_t ow_best_isa(void);
OW_EXPORT int32_t ow_isa_runs(int32_t isa);

// `num_threads` counts the calling thread. `pinned` ties each worker to one CPU of the process's affinity mask.
OW_EXPORT OwPool* ow_pool_create(int32_t num_threads, int32_t pinned);
OW_EXPORT void ow_pool_destroy(OwPool* pool);

// Reads memory with all threads and returns the sum of its 64-bit words: the machine's read bandwidth, for benchmarks.
OW_EXPORT uint64_t ow_pool_read(OwPool* pool, const uint64_t* words, int64_t num_words);

OW_EXPORT OwLinear* ow_linear_create(const OwFp4* weight, int32_t activation, int32_t isa, OwPool* pool);
OW_EXPORT int32_t ow_linear_forward(OwLinear* linear, const float* x, int64_t num_rows, float* y);
OW_EXPORT void ow_linear_destroy(OwLinear* linear);

OW_EXPORT OwDecoder* ow_decoder_create(const OwDecoderConfig* config, const OwLayer* layers, const float* final_norm,
                                       const OwCache* cache, int32_t isa, OwPool* pool);
OW_EXPORT int32_t ow_decoder_forward(OwDecoder* decoder, const OwRows* rows);
OW_EXPORT void ow_decoder_destroy(OwDecoder* decoder);
