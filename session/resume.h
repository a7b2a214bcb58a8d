// SPDX-License-Identifier: Apache-2.0
// A run's folder before its first step: a new one, or one of a run that goes on.
#pragma once

#include <string>

#include "session/session.h"
#include "train/run.h"

namespace retort {

// "auto" is none where nobody looked at the memory, as in recipes recorded before anyone did.
std::string DecidedCheckpointing(const std::string& checkpointing);

// What "auto" was when the folder's run began: a run goes on with that, whatever memory there is
// now, because the other one would round otherwise. "auto" if there is no run.
std::string RecordedCheckpointing(const Path& folder);

// PrepareRunFolder() for the session's recipe, which is recorded in the folder. A run that is
// resumed may have other values where keys allow it (OnResume). One that has ended goes on if its
// length is among these and there are steps left. Throws Error{kInput} too if the length is less
// than what it has done. The caller holds the folder's lock.
FolderState PrepareRun(const TrainingSession& session, const Path& folder, bool resume);

}  // namespace retort
