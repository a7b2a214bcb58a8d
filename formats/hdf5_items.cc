// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5_items.h"

#include "base/checked.h"
#include "base/text.h"
#include "formats/hdf5_handles.h"
#include "formats/hdf5_rows.h"

namespace retort::hdf5 {
namespace {

constexpr uint64_t kLargestText = 60'000;
constexpr uint64_t kMostItems = 1'000'000;
constexpr uint64_t kMostText = 64 << 20;  // of all names and texts together

class ItemReader {
 public:
  ItemReader(const ReadBytes& read, const std::string& place, Hdf5Wanted wanted, int64_t most_bytes)
      : read_(read),
        place_(place),
        values_(wanted == Hdf5Wanted::kValues),
        room_(static_cast<uint64_t>(most_bytes)) {}

  void Read(const std::function<void(Hdf5Item&&)>& take) {
    for (uint64_t items = 0;; ++items) {
      const auto kind = Value<uint8_t>();
      if (kind == static_cast<uint8_t>(Record::kEnd)) return;
      if (kind == static_cast<uint8_t>(Record::kFault)) ThrowFault();
      if (items == kMostItems) throw InputError(place_, ": holds more than ", items, " datasets");
      take(ReadItem(static_cast<Record>(kind)));
    }
  }

 private:
  template <class T>
  T Value() {
    T value;
    read_(&value, sizeof value);
    return value;
  }

  std::string Text(size_t longest) {
    const auto size = Value<uint32_t>();
    if (size > longest) throw InputError(place_, ": holds a text of ", size, " bytes");
    if (size > text_room_)
      throw InputError(place_, ": holds more than ", kMostText, " bytes of names and texts");
    text_room_ -= size;
    std::string out(size, '\0');
    read_(out.data(), out.size());
    return out;
  }

  Hdf5Item ReadItem(Record kind) {
    Hdf5Item item;
    item.name = OneLine(Text(kLongestName), kLongestName);
    if (!values_ && kind != Record::kDataset) ThrowNonsense();
    switch (kind) {
      case Record::kDataset:
        ReadDataset(item);
        return item;
      case Record::kText:
        item.kind = Hdf5Item::Kind::kText;
        item.text = Text(kLargestText);
        return item;
      case Record::kInt:
        item.kind = Hdf5Item::Kind::kInt;
        item.integer = Value<int64_t>();
        return item;
      case Record::kNumber:
        item.kind = Hdf5Item::Kind::kNumber;
        item.number = Value<double>();
        return item;
      default:
        ThrowNonsense();
    }
  }

  void ReadDataset(Hdf5Item& item) {
    const std::string place = Cat(place_, ": dataset '", item.name, "'");
    const auto type = Value<uint8_t>();
    for (const Hdf5Type t : kHdf5Types) {
      if (type == static_cast<uint8_t>(t)) item.type = t;
    }
    item.shape.resize(Value<uint8_t>());
    for (int64_t& dim : item.shape) {
      dim = Value<int64_t>();
      if (dim < 0) throw InputError(place, " has a dimension of ", dim);
    }
    item.stored_bytes = Value<int64_t>();
    if (item.stored_bytes < 0) throw InputError(place, " takes ", item.stored_bytes, " bytes");
    const auto bytes = Value<uint64_t>();
    uint64_t want = 0;
    if (values_) {
      if (!item.type || item.shape.empty() || item.shape.size() > 2)
        throw InputError(place, " is none that Retort writes");
      want = BytesOf(*item.type);
      for (const int64_t dim : item.shape)
        want = CheckedMul(want, static_cast<uint64_t>(dim), place);
    }
    if (bytes != want || want > room_)
      throw InputError(place, " has ", bytes, " bytes of values, expected ", want, ", at most ",
                       room_);
    room_ -= want;
    item.values.resize(want);
    read_(item.values.data(), want);
  }

  [[noreturn]] void ThrowNonsense() const {
    throw InputError(place_, ": is hostile: the process that read it sent nonsense");
  }

  [[noreturn]] void ThrowFault() {
    const std::string text = Text(kLongestFault);
    throw InputError(StartsWith(text, place_) ? "" : place_ + ": ", text);
  }

  const ReadBytes& read_;
  const std::string& place_;
  const bool values_;
  uint64_t room_, text_room_ = kMostText;
};

}  // namespace

void ReadItems(const ReadBytes& read, const std::string& place, Hdf5Wanted wanted,
               int64_t most_bytes, const std::function<void(Hdf5Item&&)>& take) {
  ItemReader(read, place, wanted, most_bytes).Read(take);
}

}  // namespace retort::hdf5
