// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of file formats: files built byte by byte, without the writers under test.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace retort {

// Little-endian fields one after another.
class ByteBuilder {
 public:
  template <class T>
  ByteBuilder& Add(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  ByteBuilder& Text(std::string_view text) {
    text_ += text;
    return *this;
  }
  ByteBuilder& String(std::string_view text) { return Add(uint64_t{text.size()}).Text(text); }
  ByteBuilder& PadTo(size_t alignment) {
    while (text_.size() % alignment != 0) text_ += '\0';
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// A folder of the test's own, removed with everything in it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const Path& parent = ::testing::TempDir()) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        parent / ReplaceAll(Cat("retort_", test->test_suite_name(), "_", test->name()), "/", "_");
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Path operator/(std::string_view name) const { return path_ / name; }
  const Path& path() const { return path_; }
  // Without the syncing of the product's writers, which thousands of files would wait for.
  Path Put(std::string_view name, std::string_view text) const {
    std::filesystem::remove(path_ / name);  // truncating a file waits for the disk on some systems
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  size_t Entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  Path path_;
};

// A file with one error, and what the message about it has to say.
struct Broken {
  std::string name;
  std::string file;
  std::vector<std::string> says;
};
inline void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

// That `action` throws Error{kInput}, on one line, whose text has every one of `parts`.
inline void ExpectRefused(const std::function<void()>& action,
                          const std::vector<std::string>& parts) {
  try {
    action();
    ADD_FAILURE() << "not refused; expected an error with: " << Join(parts, " ... ");
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_EQ(e.kind(), Error::Kind::kInput) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    for (const std::string& part : parts) {
      EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
    }
  }
}

template <class T>
Bytes BytesOf(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

inline std::string TextOf(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace retort
