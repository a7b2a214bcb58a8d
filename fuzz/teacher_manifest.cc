// SPDX-License-Identifier: Apache-2.0
// The manifest of a teacher's cache whose shards are not there.
#include "data/teacher_cache.h"
#include "data/teacher_files.h"
#include "fuzz/support.h"

namespace retort {
namespace {

void Use(const Path& folder) {
  const TeacherManifest manifest = ReadTeacherManifest(folder);
  SummarizeTeacherCache(folder);
  CheckTeacherKey(folder, manifest.key, manifest.key, false);
  Accepted([&] { TeacherCacheReader(folder).Check(manifest.key); });
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  folder.Put(kTeacherCacheManifest, TextOf(data, size));
  Accepted([&] { Use(folder.path()); });
  return 0;
}
