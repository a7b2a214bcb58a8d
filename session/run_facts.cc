// SPDX-License-Identifier: Apache-2.0
#include "session/run_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <thread>

#include "base/strings.h"
#include "session/plan.h"

namespace retort {
namespace {

// The value of the first line "NAME : VALUE" of a file in /proc; "" if there is none.
std::string ValueIn(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!std::string_view(line).starts_with(name)) continue;
    const size_t colon = line.find(':');
    if (colon != std::string::npos) return std::string(Strip(line.substr(colon + 1)));
  }
  return "";
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  char text[64];
  ::localtime_r(&now, &local);
  return std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &local) > 0 ? text : "";
}

}  // namespace

std::string MachineText() {
  std::string processor = ValueIn("/proc/cpuinfo", "model name");
  if (processor.empty()) processor = "unknown processor";
  utsname system{};
  ::uname(&system);
  const int64_t memory = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  return Cat(processor, ", ", std::thread::hardware_concurrency(), " processors, ",
             BytesText(memory), ", ", system.sysname, " ", system.release);
}

ReportAbout AboutRun(const std::vector<std::string>& description, const Examples& examples) {
  ReportAbout about;
  for (const std::string& line : description) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    std::string text(space == std::string::npos ? "" : Strip(line.substr(space)));
    if (name == "note")
      about.notes.push_back(std::move(text));
    else
      about.facts.emplace_back(name, std::move(text));
  }
  about.facts.emplace_back("machine", MachineText());
  about.facts.emplace_back("version", Cat("Retort ", RETORT_VERSION));
  about.facts.emplace_back("started", Now());
  std::vector<int64_t> lengths;
  lengths.reserve(static_cast<size_t>(examples.size()));
  for (int64_t e = 0; e < examples.size(); ++e) lengths.push_back(examples.tokens(e));
  for (const LengthFacts::Bin& bin : LengthsOf(std::move(lengths)).bins)
    about.lengths.emplace_back(Cat(bin.begin, " to ", bin.end - 1), bin.rows);
  return about;
}

}  // namespace retort
