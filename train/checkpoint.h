// SPDX-License-Identifier: Apache-2.0
// Checkpoints. A folder is written under a temporary name and then renamed, so a visible checkpoint
// is complete. All random numbers are functions of the seed and the step, so the step is their
// whole state.
//
//   adapter_model.safetensors, adapter_config.json    or model.safetensors and the model's files
//   trainer.h5      optimiser: "first/NAME" and "second/NAME" for each parameter;
//                   "value/NAME" of the objective's own parameters
//   retort.json     step, position in the data, base model, the run's inputs, SHA-256 of every
//                   other file
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/store/base_record.h"
#include "train/trainer.h"

namespace retort {

// What a run is made from besides its recipe and its base. A resumed run must have the same.
struct RunInputs {
  std::string old_base;  // the base's fingerprint by the rule of older checkpoints
  // The recipe's key and the hash of what it names: {"data.train", "..."}. An input that a
  // checkpoint does not have is not compared.
  std::vector<std::pair<std::string, std::string>> hashes;
};

// Writes the trained weights and retort.json into an existing folder: run/adapter.
void WriteTrained(const Path& folder, Trainer& trainer, const BaseRecord& base);

// Throws Error{kFailure} on I/O faults; no partial folder is left behind.
void SaveCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base,
                    const RunInputs& inputs);
// Restores parameters, optimiser and data stream. Throws Error{kInput} naming the file that is
// missing or whose checksum does not match, or the base or input that is not the checkpoint's.
void LoadCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base,
                    const RunInputs& inputs);

// The complete checkpoint with the largest step in run/checkpoints; nullopt when there is none.
struct CheckpointPlace {
  Path folder;
  int64_t step;
};
std::optional<CheckpointPlace> LastCheckpoint(const Path& checkpoints);
// Removes all but the newest `keep`. A kill leaves each whole or recognisable as broken.
void PruneCheckpoints(const Path& checkpoints, int64_t keep);
// Removes what killed processes left: unfinished checkpoints and half-removed ones.
void RemoveBrokenCheckpoints(const Path& checkpoints);

}  // namespace retort
