// SPDX-License-Identifier: Apache-2.0
// The table of weight formats. Each format is one file that defines one BlockFormat
// (docs/adding-a-format.md). All code that lists formats or needs their properties reads this
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace retort {

enum class Isa : uint8_t;
class Memory;
class ThreadPool;
class Weight;
struct GridCodec;
struct SuperCodes;

// The maximal number of values in a block.
inline constexpr int64_t kMostBlockElements = 256;
// The number of its bytes.
inline constexpr int kMostBlockBytes = 292;
// The number of columns that BlockFormat::columns decodes.
inline constexpr int64_t kDecodedCols = 64;

// Functions address blocks by index, counted row by row through the whole weight. They are called
// by several threads at a time and give the same bits with every instruction set.
struct BlockFormat {
  std::string_view name;  // "q8_0": as users write it
  int block_elements;     // values of a block, a power of two; 1: no blocks
  int block_bytes;
  int alignment;  // of a block's bytes in memory

  // Type id of a tensor in a GGUF. Empty: GGUF does not have the format.
  std::optional<uint32_t> ggml_type = {};
  // general.file_type of a GGUF whose matrices are mostly of this format.
  std::optional<uint32_t> file_type = {};
  std::string_view safetensors = "";  // dtype in a safetensors file; "": none
  // The format of rows that do not divide into these blocks, by llama.cpp's choice: one of smaller
  // blocks. "": f16.
  std::string_view narrow = "";

  // Limit of export's self-test on the mean KL per token, in nats: about ten times the KL that the
  // format causes in small real models, which lose more by it than large ones.
  double kl_limit;

  // The CPU backend has products of these blocks with 8-bit activations: tensor/quant/strips.h and
  // tensor/cpu/int8_*.
  bool int8 = false;
  // Blocks cover the row-major flattened matrix, whose last block may be short. Otherwise each row
  // consists of whole blocks.
  bool flattened = false;

  // Decodes blocks [first, first + blocks) into `out`. w has WeightLayout::kRows.
  void (*decode)(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out);

  // Decodes columns [col, col + kDecodedCols), all within the matrix, of rows
  // [first, first + count); out's rows are kDecodedCols apart. col is a multiple of kDecodedCols;
  // rows are whole blocks. Null: rows are decoded one by one, which is slower.
  void (*columns)(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                  float* out) = nullptr;

  // Writes blocks [first, first + blocks), which have 32 or 256 values, as small integers
  // (tensor/quant/super_codes.h), the rest of the last SuperCodes as zeros: products with 8-bit
  // activations read them so (tensor/cpu/int8_super.cc for a few rows, int8_codes.h for many).
  // Null: the format has no such products.
  void (*codes)(Isa isa, const Weight& w, int64_t first, int64_t blocks, SuperCodes* out) = nullptr;
  // Of such an integer: 2 to 6, or 8. Of 3, 6 and 8 bits, every minimum is 1 << (code_bits - 1)
  // times its scale, so that the code in the middle is zero: kernels rely on it.
  int code_bits = 0;
  int code_group = 0;  // values that share scale and minimum: 16 or 32; 32 for codes of 8 bits

  // Encodes one row of `count` values, whole blocks, into `out`, which need not be aligned.
  // `importance`: null, or a weight >= 0 for the squared error of each value; formats that choose
  // nothing by it ignore it. Null: Retort only reads the format, or its rows cannot be encoded
  // independently.
  void (*encode)(Isa isa, const float* row, const float* importance, int64_t count,
                 std::byte* out) = nullptr;
  // The grid that an encoded block's scales span, and its codes (tensor/quant/grid.h). Null: codes
  // are chosen by `encode` alone.
  const GridCodec* grid = nullptr;
  // Encodes a matrix of a format that cannot be encoded row by row. `double_quant`: NF4's block
  // maxima are quantised too.
  Weight (*convert)(const Weight& source, bool double_quant, Memory& memory,
                    ThreadPool& pool) = nullptr;

  // Whether `export` can write the format.
  bool in_gguf() const { return ggml_type && file_type && encode; }
  // The length of a row is a multiple of this.
  int64_t row_step() const { return flattened ? 1 : block_elements; }
};

std::vector<WeightFormat> AllFormats();
const BlockFormat& TraitsOf(WeightFormat format);

// The format of that name, e.g. "bf16". Throws Error{kInput} that lists the known names.
WeightFormat FormatNamed(std::string_view name);
// The format with that GGUF type id, or that safetensors dtype; empty if no weight can have it.
std::optional<WeightFormat> FormatOfGgmlType(uint32_t id);
std::optional<WeightFormat> FormatOfSafetensors(std::string_view dtype);

std::vector<std::string> FormatNames();      // all
std::vector<std::string> GgufFormatNames();  // those that `export` can write

// `format`, or what llama.cpp puts in its place for rows of `cols` values that do not divide into
// its blocks: BlockFormat::narrow, and f16 in the end.
WeightFormat FormatForRows(WeightFormat format, int64_t cols);

// The format of embedding and head in a model whose other matrices are of `format`: 8 bits if those
// have fewer, bf16 for NF4, else the same.
WeightFormat EmbeddingFormat(WeightFormat format);

}  // namespace retort
