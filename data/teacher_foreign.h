// SPDX-License-Identifier: Apache-2.0
// A shard of a teacher's cache from elsewhere, out of what the child process that read the file
// sent (formats/hdf5_child.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/teacher_files.h"
#include "formats/hdf5_child.h"

namespace retort {

class ForeignShard {
 public:
  explicit ForeignShard(std::string place) : place_(std::move(place)) {}

  // Throws Error{kInput} on what no shard has.
  void Add(Hdf5Item&& item);

  // To be called once. Throws Error{kInput} unless what was added is the shard's datasets and no
  // others, they hold the shard's examples, and every row is a distribution.
  ShardContent Content(const TeacherShard& shard, const TeacherLayout& layout);

 private:
  template <class T>
  std::vector<T> Take(const std::string& name, const std::vector<int64_t>& shape);

  std::string place_;
  std::map<std::string, Hdf5Item> items_;
};

}  // namespace retort
