// SPDX-License-Identifier: Apache-2.0
// The child's side of formats/hdf5_child.h: everything here may be under the control of whoever
// made the file.
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/checked.h"
#include "base/confine.h"
#include "formats/hdf5_child.h"
#include "formats/hdf5_dataset.h"
#include "formats/hdf5_rows.h"

namespace retort {

using hdf5::Record;

namespace {

constexpr int64_t kOwnMemory = int64_t{256} << 20;  // besides the values
constexpr int64_t kBytesASecond = int64_t{16} << 20;

void Send(const void* data, size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(STDOUT_FILENO, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Failure("the parent does not read: ", ErrnoText());
    at += n;
    bytes -= static_cast<size_t>(n);
  }
}

template <class T>
void SendValue(T value) {
  Send(&value, sizeof value);
}

void SendText(std::string_view text) {
  SendValue(static_cast<uint32_t>(text.size()));
  Send(text.data(), text.size());
}

void Begin(Record kind, const std::string& name) {
  SendValue(kind);
  SendText(name);
}

}  // namespace

// Reads a file without a seal, which nothing else may do.
class Hdf5Sender {
 public:
  Hdf5Sender(const Path& path, std::unique_ptr<const hdf5::HeldFile> held, int64_t most_bytes)
      : file_(Hdf5Reader::OpenUnsealed(path, std::move(held))),
        room_(static_cast<uint64_t>(most_bytes)) {}

  void SendAttributes() const {
    using enum Hdf5Reader::Attribute::Kind;
    for (const auto& [name, kind] : file_.Attributes()) {
      if (kind == kOther) throw InputError("attribute '", name, "' is no text, i64 or f64");
      if (kind == kText) {
        const std::string text = file_.Text(name);
        Begin(Record::kText, name);
        SendText(text);
      } else if (kind == kInt) {
        const int64_t value = file_.Int(name);
        Begin(Record::kInt, name);
        SendValue(value);
      } else {
        const double value = file_.Number(name);
        Begin(Record::kNumber, name);
        SendValue(value);
      }
    }
  }

  void SendDatasets(bool values) {
    for (const Hdf5Reader::Dataset& d : file_.Datasets()) {
      std::vector<std::byte> bytes;
      if (values) bytes = ValuesOf(d);
      Begin(Record::kDataset, d.name);
      SendValue(TypeIndex(d.type));
      SendValue(static_cast<uint8_t>(d.shape.size()));
      for (const int64_t dim : d.shape) SendValue(dim);
      SendValue(d.stored_bytes);
      SendValue(uint64_t{bytes.size()});
      Send(bytes.data(), bytes.size());
    }
  }

 private:
  static uint8_t TypeIndex(const std::string& type) {
    for (const Hdf5Type t : kHdf5Types) {
      if (NameOf(t) == type) return static_cast<uint8_t>(t);
    }
    return hdf5::kNoType;
  }

  std::vector<std::byte> ValuesOf(const Hdf5Reader::Dataset& d) {
    const std::string place = Cat("dataset '", d.name, "'");
    const uint8_t type = TypeIndex(d.type);
    if (type == hdf5::kNoType || d.shape.empty() || d.shape.size() > 2) {
      throw InputError(place, " of type ", d.type, " and shape ", ShapeText(d.shape),
                       " is none that Retort writes");
    }
    uint64_t bytes = hdf5::BytesOf(static_cast<Hdf5Type>(type));
    for (const int64_t dim : d.shape) bytes = CheckedMul(bytes, static_cast<uint64_t>(dim), place);
    if (bytes > room_) {
      throw InputError(place, " of shape ", ShapeText(d.shape), " is larger than the ", room_,
                       " bytes that are left for it");
    }
    room_ -= bytes;
    std::vector<std::byte> out(bytes);
    file_.ReadRaw(d.name, d.shape, static_cast<Hdf5Type>(type), out);
    return out;
  }

  const Hdf5Reader file_;
  uint64_t room_;
};

int RunHdf5Child(Hdf5Wanted wanted, int64_t most_bytes, const Path& path) {
  const bool values = wanted == Hdf5Wanted::kValues;
  std::string fault;
  try {
    // Opens the file before it gives up opening files; the library is not called yet.
    auto held = std::make_unique<const hdf5::HeldFile>(path);
    const auto size = static_cast<int64_t>(held->bytes().size());
    ConfineThisProcess(kOwnMemory + 2 * most_bytes, 20 + (size + most_bytes) / kBytesASecond);
    Hdf5Sender sender(path, std::move(held), most_bytes);
    if (values) sender.SendAttributes();
    sender.SendDatasets(values);
    SendValue(Record::kEnd);
    return 0;
  } catch (const std::bad_alloc&) {
    fault = "takes more memory to read than its values would";
  } catch (const std::exception& e) {
    fault = e.what();
  }
  try {
    SendValue(Record::kFault);
    SendText(std::string_view(fault).substr(0, hdf5::kLongestFault));
    return 0;
  } catch (const Error&) {
    return 1;  // nobody reads
  }
}

}  // namespace retort
