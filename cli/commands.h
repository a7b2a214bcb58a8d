// SPDX-License-Identifier: Apache-2.0
// One function per command, in cli/cmd_NAME.cc. It adds the subcommand, its flags and the function
// that runs it.
#pragma once

namespace CLI {  // NOLINT: the library's own
class App;
}

namespace retort {

void AddTrain(CLI::App& app);
void AddPlan(CLI::App& app);
void AddSweep(CLI::App& app);
void AddTeach(CLI::App& app);
void AddEval(CLI::App& app);
void AddMerge(CLI::App& app);
void AddPrune(CLI::App& app);
void AddCalibrate(CLI::App& app);
void AddExport(CLI::App& app);
void AddQuantize(CLI::App& app);
void AddRun(CLI::App& app);
void AddServe(CLI::App& app);
void AddInspect(CLI::App& app);
void AddTrust(CLI::App& app);
void AddReadHdf5(CLI::App& app);
void AddTokenize(CLI::App& app);
void AddTokenizer(CLI::App& app);
void AddLogits(CLI::App& app);
void AddInit(CLI::App& app);
void AddBench(CLI::App& app);
void AddBenchServe(CLI::App& bench);

// Thrown by a command that has said all there is to say and ends with this exit status.
struct ExitWith {
  int status;
};

// Parses the arguments and runs the command. Returns the process's exit status: 0 success,
// 1 failure, 2 bad usage, recipe or input file, 128 + N stopped by signal N with its work saved.
int RunCli(int argc, const char* const* argv);

}  // namespace retort
