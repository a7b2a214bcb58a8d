// SPDX-License-Identifier: Apache-2.0
#include "cli/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/file.h"

namespace retort {
namespace {

struct sigaction before {};

void Say(const char* text) {
  [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text, std::strlen(text));
}

// Calls only functions that a handler may call.
void OnBusError(int, siginfo_t* info, void*) {
  const char* path = MappedPathAt(info->si_addr);
  if (!path) {  // not about a file: what would have happened happens
    ::sigaction(SIGBUS, &before, nullptr);
    return;
  }
  Say("retort: ");
  Say(path);
  Say(": was shortened, or cannot be read any more, while it was in use; put the whole file back\n");
  ::_exit(1);
}

}  // namespace

void KeepStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number, which is fd. Opened the wrong way round, so that its use fails.
    [[maybe_unused]] const int opened =
        ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

void CatchBusErrors() {
  struct sigaction action {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &before);
}

}  // namespace retort
