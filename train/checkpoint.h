// SPDX-License-Identifier: Apache-2.0
// Checkpoints. A folder is written under a temporary name and then renamed, so a visible checkpoint
// is complete. All random numbers are functions of the seed and the step, so the step is their
// whole state.
//
//   adapter_model.safetensors, adapter_config.json    or model.safetensors and the model's files
//   trainer.h5      optimiser: "STATE/NAME" for each parameter's states (update_rule.h);
//                   "value/NAME" of the objective's own parameters
//   retort.json     step, position in the data, base model, the run's inputs, SHA-256 of every
//                   other file, and the seal of trainer.h5 (base/seal.h)
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/hdf5.h"
#include "model/store/base_record.h"
#include "train/trainer.h"

namespace retort {

inline constexpr const char* kTrainerState = "trainer.h5";
// Ends the errors about a damaged checkpoint.
inline constexpr const char* kGoBack = "remove the folder to go on from the checkpoint before it";

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
// missing, whose checksum does not match, or that has no seal of this user's Retort (the last names
// `retort trust`), or the base or input that is not the checkpoint's.
void LoadCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base,
                    const RunInputs& inputs);

// What a checkpoint's retort.json, read from `where`, says of trainer.h5.
Hdf5Stamp TrainerStateStamp(const Json& manifest, const std::string& where);
// Converts trainer.h5 if this user's Retort did not write it: a child process reads it
// (formats/hdf5_child.h), and what it read is checked and written again, with a seal. The numbers
// stay the same. Returns whether it was converted. A stop at any moment leaves a checkpoint that
// is read or can be converted. Throws Error{kInput} naming the file that is damaged or that cannot
// be read.
bool TrustCheckpoint(const Path& folder);

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
