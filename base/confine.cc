// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <vector>

#include "base/error.h"

namespace retort {
namespace {

// What the C library needs to compute, read and write what is open, and end. Everything else fails
// with EPERM.
constexpr unsigned kAllowed[] = {
    SYS_read,     SYS_readv,      SYS_pread64,       SYS_write,        SYS_writev,
    SYS_close,    SYS_fstat,      SYS_lseek,         SYS_brk,          SYS_mmap,
    SYS_munmap,   SYS_mremap,     SYS_mprotect,      SYS_madvise,      SYS_futex,
    SYS_getpid,   SYS_gettid,     SYS_clock_gettime, SYS_gettimeofday, SYS_rt_sigprocmask,
    SYS_exit,     SYS_exit_group, SYS_rt_sigreturn,  SYS_sched_yield,  SYS_sigaltstack,
    SYS_getrlimit};

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr unsigned kArchitecture = 0;  // no filter
#endif

void FilterSystemCalls() {
  if (kArchitecture == 0) return;
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const unsigned call : kAllowed) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  // For all threads, those of libraries too. A kernel without it refuses, which is no error here.
  ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
}

void Limit(decltype(RLIMIT_AS) what, uint64_t most) {
  rlimit now;
  if (::getrlimit(what, &now) != 0) throw Failure("a limit cannot be read: ", ErrnoText());
  if (now.rlim_max != RLIM_INFINITY && most > now.rlim_max) most = now.rlim_max;
  const rlimit limit = {most, most};
  if (::setrlimit(what, &limit) != 0) throw Failure("a limit cannot be set: ", ErrnoText());
}

uint64_t AddressSpace() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void ConfineThisProcess(int64_t memory_bytes, int64_t cpu_seconds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What is mapped already (libraries, a sanitizer's shadow) counts too.
  Limit(RLIMIT_AS, AddressSpace() + static_cast<uint64_t>(memory_bytes));
  Limit(RLIMIT_CPU, static_cast<uint64_t>(cpu_seconds));
  Limit(RLIMIT_FSIZE, 0);
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_NOFILE, 0);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) FilterSystemCalls();
}

}  // namespace retort
