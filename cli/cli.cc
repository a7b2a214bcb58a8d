// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <iostream>
#include <new>

#include "base/error.h"
#include "cli/commands.h"
#include "model/store/fingerprint.h"

namespace retort {
namespace {

constexpr const char* kAbout =
    "Retort makes a small language model good at one job and then runs it.\n"
    "train -> merge -> export -> serve; see README.md, or `retort COMMAND --help`.";

int Fail(int status, const std::string& message) {
  std::cerr << "retort: " << message << "\n";
  return status;
}

// $XDG_CACHE_HOME/retort, or ~/.cache/retort; none without either.
void RememberFingerprints() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  Path folder;
  if (cache && *cache == '/') {  // the specification: a relative path is ignored
    folder = cache;
  } else if (home && *home == '/') {
    folder = Path(home) / ".cache";
  }
  if (!folder.empty()) UseFingerprintCache(folder / "retort");
}

}  // namespace

int RunCli(int argc, const char* const* argv) {
  CLI::App app(kAbout, "retort");
  app.require_subcommand(1);
  app.set_version_flag("--version", RETORT_VERSION);
  app.option_defaults()->always_capture_default();
  RememberFingerprints();
  for (const auto add :
       {AddTrain, AddTeach, AddEval, AddMerge, AddPrune, AddExport, AddRun, AddServe, AddInspect,
        AddInit, AddTokenize, AddTokenizer, AddLogits, AddBench}) {
    add(app);
  }
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    return Fail(2, Cat(e.what(), "; see `retort --help`"));
  } catch (const ExitWith& e) {
    return e.status;
  } catch (const Error& e) {
    return Fail(e.kind() == Error::Kind::kInput ? 2 : 1, e.what());
  } catch (const std::bad_alloc&) {
    return Fail(1, "out of memory");
  } catch (const std::exception& e) {
    return Fail(1, e.what());
  }
}

}  // namespace retort
