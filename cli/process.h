// SPDX-License-Identifier: Apache-2.0
// What the process as a whole is prepared for, before any command.
#pragma once

namespace retort {

// Opens /dev/null in place of a standard stream that is closed, so that no file of ours gets its
// number and is written into. Reading from or writing to such a stream still fails.
void KeepStandardStreams();

// A file that is shortened while it is mapped raises SIGBUS when its lost bytes are read. The
// handler says which file it was, in one line, and ends the process with status 1.
void CatchBusErrors();

}  // namespace retort
