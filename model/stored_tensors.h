// SPDX-License-Identifier: Apache-2.0
// Where the files of a model keep its tensors, and their values.
#pragma once

#include <string>
#include <vector>

#include "model/model_files.h"

namespace retort {

// The name of the head's matrix in a folder.
std::string HeadName(const ModelFiles& files);
// Whether a folder stores it as part of a stacked tensor (TensorSpec::stacked).
bool IsStacked(const ModelFiles& files, const TensorSpec& spec);
// Whether a GGUF keeps the tensor as two (HeadSplit). It then has no place of its own.
bool IsSplit(const ModelFiles& files, const TensorSpec& spec);
// The names of the file's tensors that hold it, one or two.
std::vector<std::string> StoredNames(const ModelFiles& files, const TensorSpec& spec);

// A tensor's place in the model's files. A tied model may store only its head; that is then the
// embedding's place.
TensorPlace PlaceOf(const ModelFiles& files, const TensorSpec& spec);

// Throws Error{kInput} with the file, the tensor and the place if a tensor holds NaN or infinity.
// LoadModel (model/load.h) checks all; FetchVector checks what it reads.
void CheckFinite(const ModelFiles& files, const TensorSpec& spec, ThreadPool& pool);

// A matrix of the model in Hugging Face's row order: borrowed from the mapped file, or a copy in
// `memory` if a GGUF interleaves its rows or splits the matrix, which is f32 then if it is stored
// in blocks. Resolves tied heads and stacked experts.
// One of 8 bits is decoded to f32, by `pool` if that is not null.
Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec, Memory& memory,
                   ThreadPool* pool = nullptr);
// The values of a bias or a gain, in the same order. A gain includes any offset that the folder's
// stored values leave out.
std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec);

}  // namespace retort
