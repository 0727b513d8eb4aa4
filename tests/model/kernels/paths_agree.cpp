// Runs one small linear layer and one small decoder on every path this processor has, and fails unless all give the
// same bits. Built for another architecture it shows, under an emulator, what that architecture's path computes.
#include <stdio.h>
#include <string.h>

#include <random>
#include <vector>

#include "abi.h"

namespace {

std::mt19937 random_bits(7);

std::vector<uint8_t> bytes(size_t count, int low, int high) {
  std::vector<uint8_t> values(count);
  for (auto& value : values) value = low + random_bits() % (high - low + 1);
  return values;
}

std::vector<float> floats(size_t count) {
  std::vector<float> values(count);
  for (auto& value : values) value = (int32_t(random_bits()) >> 8) * 0x1p-23f;
  return values;
}

struct Matrix {
  std::vector<uint8_t> codes, scales;
  OwFp4 view;
  Matrix(int64_t out, int64_t in, int32_t format)
      : codes(bytes(out * in / 2, 0, 255)),
        scales(format == OW_NVFP4 ? bytes(out * in / 16, 0, 0x50) : bytes(out * in / 32, 120, 130)),
        view{codes.data(), scales.data(), out, in, 0.03f, format} {}
};

std::vector<float> linear_output(const Matrix& matrix, const std::vector<float>& x, int activation, int isa,
                                 OwPool* pool) {
  const int64_t rows = x.size() / matrix.view.in;
  std::vector<float> y(rows * matrix.view.out);
  OwLinear* linear = ow_linear_create(&matrix.view, activation, isa, pool);
  if (!linear || ow_linear_forward(linear, x.data(), rows, y.data()) != OW_OK) return {};
  ow_linear_destroy(linear);
  return y;
}

std::vector<float> decoder_output(int kv, int activation, int isa, OwPool* pool) {
  random_bits.seed(11);
  constexpr int64_t kWidth = 64, kHeads = 2, kKvHeads = 1, kHead = 32, kFfn = 96, kSlots = 2, kCapacity = 40;
  constexpr int64_t kRows = 12, kLayers = 2;
  const OwDecoderConfig config{kLayers, kWidth, kHeads, kKvHeads, kHead, kFfn, 1e-5f, activation};
  const std::vector<float> norm(kWidth, 1.0f);
  std::vector<Matrix> matrices;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    for (int64_t out : {kHeads * kHead, kKvHeads * kHead, kKvHeads * kHead}) matrices.emplace_back(out, kWidth, OW_NVFP4);
    matrices.emplace_back(kWidth, kHeads * kHead, OW_NVFP4);
    for (int i = 0; i < 2; ++i) matrices.emplace_back(kFfn, kWidth, OW_NVFP4);
    matrices.emplace_back(kWidth, kFfn, OW_NVFP4);
  }
  std::vector<OwLayer> layers;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    Matrix* m = &matrices[7 * layer];
    layers.push_back({norm.data(), norm.data(), m[0].view, m[1].view, m[2].view, m[3].view, m[4].view, m[5].view, m[6].view});
  }
  const int64_t positions = kLayers * kSlots * kKvHeads * kCapacity;
  std::vector<uint8_t> k(positions * kHead * 2), v(positions * kHead * 2);
  std::vector<float> k_scale(positions), v_scale(positions);
  const bool is_int8 = kv == OW_KV_INT8;
  const OwCache cache{k.data(), v.data(), is_int8 ? k_scale.data() : nullptr, is_int8 ? v_scale.data() : nullptr,
                      kSlots, kCapacity, kv};
  OwDecoder* decoder = ow_decoder_create(&config, layers.data(), norm.data(), &cache, isa, pool);
  if (!decoder) return {};
  const std::vector<float> x = floats(kRows * kWidth), cos = floats(kRows * kHead / 2), sin = floats(kRows * kHead / 2);
  std::vector<int32_t> slot, index;
  for (int32_t row = 0; row < kRows; ++row) slot.push_back(row >= 5), index.push_back(row < 5 ? row : row - 5);
  std::vector<float> hidden(kRows * kWidth);
  const OwRows rows{x.data(), slot.data(), index.data(), cos.data(), sin.data(), hidden.data(), kRows};
  if (ow_decoder_forward(decoder, &rows) != OW_OK) return {};
  ow_decoder_destroy(decoder);
  return hidden;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return !a.empty() && a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

int main() {
  OwPool* pool = ow_pool_create(2, 0);
  int failures = 0, compared = 0;
  for (int isa = 1; isa < OW_NUM_ISAS; ++isa) {
    if (!ow_isa_runs(isa)) continue;
    for (int activation : {OW_ACTIVATION_INT8, OW_ACTIVATION_INT16}) {
      for (int format : {OW_NVFP4, OW_MXFP4}) {
        random_bits.seed(3);
        const Matrix matrix(48, 96, format);
        const std::vector<float> x = floats(11 * 96);
        const bool same = same_bits(linear_output(matrix, x, activation, isa, pool),
                                    linear_output(matrix, x, activation, OW_ISA_PORTABLE, pool));
        failures += !same, ++compared;
      }
      for (int kv : {OW_KV_BF16, OW_KV_INT8}) {
        const bool same =
            same_bits(decoder_output(kv, activation, isa, pool), decoder_output(kv, activation, OW_ISA_PORTABLE, pool));
        failures += !same, ++compared;
      }
    }
    printf("path %d: ran\n", isa);
  }
  ow_pool_destroy(pool);
  printf("%d comparisons with the portable path, %d differ\n", compared, failures);
  return failures != 0 || compared == 0;
}
