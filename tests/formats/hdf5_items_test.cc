// SPDX-License-Identifier: Apache-2.0
// What the process that reads a stranger's HDF5 file may send, and what its parent refuses.
#include "formats/hdf5_items.h"

#include <cstring>

#include "formats/hdf5_rows.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

using hdf5::Record;

class SentItems {
 public:
  template <class T>
  SentItems& Add(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  SentItems& Text(std::string_view text) {
    Add(static_cast<uint32_t>(text.size()));
    text_ += text;
    return *this;
  }
  // Up to its values.
  SentItems& Dataset(std::string_view name, uint8_t type, const std::vector<int64_t>& shape,
                     int64_t stored, uint64_t bytes) {
    Add(Record::kDataset).Text(name).Add(type).Add(static_cast<uint8_t>(shape.size()));
    for (const int64_t dim : shape) Add(dim);
    return Add(stored).Add(bytes);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

constexpr auto kItemF32 = static_cast<uint8_t>(Hdf5Type::kF32);

std::vector<Hdf5Item> ItemsOf(const SentItems& message, Hdf5Wanted wanted = Hdf5Wanted::kValues,
                              int64_t most = 100) {
  std::vector<Hdf5Item> out;
  std::string_view left = message.text();
  const auto read = [&](void* to, size_t bytes) {
    if (bytes > left.size()) throw InputError("a.h5: the process died");
    if (bytes > 0) std::memcpy(to, left.data(), bytes);
    left.remove_prefix(bytes);
  };
  hdf5::ReadItems(read, "a.h5", wanted, most, [&](Hdf5Item&& i) { out.push_back(std::move(i)); });
  return out;
}

TEST(Hdf5Items, AreReadAsSent) {
  SentItems m;
  m.Add(Record::kInt).Text("step").Add(int64_t{-7});
  m.Add(Record::kNumber).Text("loss").Add(0.5);
  m.Add(Record::kText).Text("kind").Text("state");
  m.Dataset("x", kItemF32, {2, 1}, 8, 8).Add(1.5f).Add(-2.f);
  m.Dataset("none", kItemF32, {0}, 0, 0).Add(Record::kEnd);
  const auto items = ItemsOf(m);
  ASSERT_EQ(items.size(), 5u);
  EXPECT_EQ(items[0].integer, -7);
  EXPECT_EQ(items[1].number, 0.5);
  EXPECT_EQ(items[2].text, "state");
  EXPECT_EQ(items[3].shape, (std::vector<int64_t>{2, 1}));
  float values[2];
  ASSERT_EQ(items[3].values.size(), sizeof values);
  std::memcpy(values, items[3].values.data(), sizeof values);
  EXPECT_EQ(values[1], -2.f);
  EXPECT_TRUE(items[4].values.empty());
}

TEST(Hdf5Items, NamesBecomeOneLine) {
  SentItems m;
  m.Dataset("a\n\x1b[2J\xe2\x80\xae\xff", kItemF32, {1}, 0, 0).Add(Record::kEnd);
  const auto items = ItemsOf(m, Hdf5Wanted::kNames);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].name, "a\\n\\x1b[2J\\u202e\\xff");
}

TEST(Hdf5Items, NoProcessOfOursSendsThese) {
  const auto refuse = [](const SentItems& m, const char* part,
                         Hdf5Wanted wanted = Hdf5Wanted::kValues) {
    ExpectRefused([&] { ItemsOf(m, wanted); }, {"a.h5: ", part});
  };
  refuse(SentItems(), "died");
  refuse(SentItems().Add(uint8_t{0}).Text(""), "nonsense");
  refuse(SentItems().Add(Record::kFault).Text("a\nb"), "a\\nb");
  // Names alone were asked for.
  refuse(SentItems().Add(Record::kInt).Text("step").Add(int64_t{1}), "nonsense",
         Hdf5Wanted::kNames);
  refuse(SentItems().Dataset("x", kItemF32, {1}, 4, 4).Add(1.f), "4 bytes of values",
         Hdf5Wanted::kNames);
  refuse(SentItems().Dataset("x", kItemF32, {1}, -4, 0), "takes -4 bytes", Hdf5Wanted::kNames);
  refuse(SentItems().Dataset("x", kItemF32, {-1}, 4, 4), "dimension of -1");
  refuse(SentItems().Dataset("x", hdf5::kNoType, {1}, 4, 4), "none that Retort writes");
  refuse(SentItems().Dataset("x", kItemF32, {}, 4, 4), "none that Retort writes");
  refuse(SentItems().Dataset("x", kItemF32, {2}, 8, 4), "4 bytes of values, expected 8");
  refuse(SentItems().Dataset("x", kItemF32, {26}, 104, 104), "at most 100");
  refuse(SentItems().Dataset("x", kItemF32, {INT64_MAX, 8}, 0, 0), "overflows");
  refuse(SentItems().Add(Record::kText).Text(std::string(1001, 'a')), "text of 1001 bytes");
}

TEST(Hdf5Items, AllTextsTogetherHaveALimit) {
  SentItems m;
  const std::string text(60'000, 'a');
  for (int i = 0; i < 1200; ++i) m.Add(Record::kText).Text("t").Text(text);
  ExpectRefused([&] { ItemsOf(m.Add(Record::kEnd)); }, {"a.h5: ", "bytes of names and texts"});
}

}  // namespace
}  // namespace retort
