// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <iostream>
#include <new>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "base/user_folder.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/near_names.h"
#include "data/row_faults.h"
#include "model/store/fingerprint.h"

namespace retort {
namespace {

constexpr const char* kAbout =
    "Retort makes a small language model good at one job and then runs it.\n"
    "train -> merge -> export -> serve; see README.md, or `retort COMMAND --help`.";

// The one place where errors are printed.
int Fail(int status, const std::string& message) {
  std::cerr << "retort: " << OneLine(message) << "\n";
  return status;
}

int FailFor(const std::filesystem::filesystem_error& e) {
  const std::error_code code = e.code();
  const bool by_name = code == std::errc::filename_too_long || code == std::errc::not_a_directory ||
                       code == std::errc::no_such_file_or_directory ||
                       code == std::errc::too_many_symbolic_link_levels;
  return Fail(by_name ? 2 : 1, Cat(e.path1().string(), ": ", code.message()));
}

// Help and version are printed by the library.
int Printed(const CLI::App& app, const CLI::ParseError& e) {
  app.exit(e);
  std::cout << std::flush;
  CheckOutput();
  return 0;
}

int Parse(CLI::App& app, int argc, const char* const* argv) {
  try {
    CheckCommand(app, argc, argv);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return Printed(app, e);
    const std::string flag = UnknownFlag(app, argc, argv);
    return Fail(2, flag.empty() ? Cat(e.what(), "; see `retort --help`") : flag);
  }
}

}  // namespace

int RunCli(int argc, const char* const* argv) {
  CLI::App app(kAbout, "retort");
  app.require_subcommand(1);
  app.set_version_flag("--version", RETORT_VERSION);
  app.option_defaults()->always_capture_default();
  if (const auto cache = UserFolder("XDG_CACHE_HOME", ".cache")) UseFingerprintCache(*cache);
  for (const auto add :
       {AddTrain,     AddPlan,     AddSweep,     AddTeach,  AddEval,  AddMerge,   AddPrune,
        AddCalibrate, AddExport,   AddQuantize,  AddRun,    AddServe, AddInspect, AddTrust,
        AddInit,      AddTokenize, AddTokenizer, AddLogits, AddBench, AddReadHdf5}) {
    add(app);
  }
  try {
    return Parse(app, argc, argv);
  } catch (const ExitWith& e) {
    return e.status;
  } catch (const RowFaultsError& e) {
    for (const std::string& fault : e.faults()) Note(Cat("fault    ", fault));
    // A single fault is one line.
    if (!e.faults().empty()) {
      for (const std::string& note : e.notes()) Note(Cat("note     ", note));
    }
    return Fail(2, e.what());
  } catch (const Error& e) {
    return Fail(e.kind() == Error::Kind::kInput ? 2 : 1, e.what());
  } catch (const std::bad_alloc&) {
    return Fail(1, "out of memory");
  } catch (const std::filesystem::filesystem_error& e) {
    return FailFor(e);
  } catch (const std::system_error& e) {
    return Fail(1, Cat("the system refuses: ", e.code().message()));
  } catch (const std::exception& e) {
    return Fail(1, e.what());
  }
}

}  // namespace retort
