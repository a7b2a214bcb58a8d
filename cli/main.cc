// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/process.h"

int main(int argc, char** argv) {
  retort::KeepStandardStreams();
  retort::CatchBusErrors();
  return retort::RunCli(argc, argv);
}
