// SPDX-License-Identifier: Apache-2.0
// Checkpoints: a folder written beside its place and renamed into it, so that one which can be
// seen is whole. All random numbers are counted from the seed and the step, so the step is their
// state.
//
//   adapter_model.safetensors, adapter_config.json    or model.safetensors and the model's files
//   trainer.h5      optimiser: "first/NAME" and "second/NAME" for each parameter;
//                   "value/NAME" of the objective's own parameters
//   retort.json     step, place in the data, what it was trained on, SHA-256 of every other file
#pragma once

#include <optional>

#include "model/store/base_record.h"
#include "train/trainer.h"

namespace retort {

// Writes the trained weights and retort.json into an existing folder: run/adapter.
void WriteTrained(const Path& folder, Trainer& trainer, const BaseRecord& base);

// Throws Error{kFailure} on I/O faults, and leaves nothing behind then.
void SaveCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base);
// Puts parameters, optimiser and data stream back. Throws Error{kInput} naming the file that is
// missing or whose checksum does not hold.
void LoadCheckpoint(const Path& folder, Trainer& trainer);

// The complete checkpoint with the largest step in run/checkpoints; nullopt when there is none.
struct CheckpointPlace {
  Path folder;
  int64_t step;
};
std::optional<CheckpointPlace> LastCheckpoint(const Path& checkpoints);
// Removes all but the newest `keep`.
void PruneCheckpoints(const Path& checkpoints, int64_t keep);

}  // namespace retort
