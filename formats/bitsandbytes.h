// SPDX-License-Identifier: Apache-2.0
// The matrices of a folder that bitsandbytes quantised to 4 or to 8 bits.
//
// 4 bits: beside a tensor NAME of packed codes, of any type, such a folder holds
//
//   NAME.absmax             F32, a maximum a block; or U8 codes of the dynamic map, then with
//   NAME.nested_absmax      F32, one for 256 of these
//   NAME.nested_quant_map   F32, the map's 256 values
//   NAME.quant_map          F32, the 16 values of NF4 or FP4
//   NAME.quant_state.bitsandbytes__nf4 (or __fp4)
//                           the bytes of a JSON text: quant_type, blocksize, shape, dtype;
//                           nested_blocksize, nested_offset
//
// 8 bits (LLM.int8, arXiv 2208.07339): beside LAYER.weight, I8 [rows, cols]
//
//   LAYER.SCB             F32 [rows], the largest absolute value of each row: a value is
//                         code * SCB / 127
//   LAYER.weight_format   U8, 0: the codes are in rows
#pragma once

#include "formats/tensor_file.h"

namespace retort {

// The table with each such group as one tensor NAME, of format nf4 or fp4 and its own shape, or of
// 8 bits (computed, in f32). Its bytes stay in the file, if it is aligned there. Throws
// Error{kInput} naming the tensor for what Retort's own NF4 and FP4 have no form for: other values,
// or blocks of fewer than 64 values. In longer blocks, the maximum of each is repeated.
TensorTable JoinBitsandbytes(TensorTable table);

// The tensors of such a group, and their bytes.
struct BitsandbytesPart {
  std::string name;
  bool raw;  // U8, else F32
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};
// Of a weight of format nf4 or fp4. `dtype`: what bitsandbytes decodes to, "bfloat16".
std::vector<BitsandbytesPart> BitsandbytesParts(const std::string& name, const Weight& weight,
                                                const std::string& dtype);

}  // namespace retort
