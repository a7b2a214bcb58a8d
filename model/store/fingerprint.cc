// SPDX-License-Identifier: Apache-2.0
#include "model/store/fingerprint.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "model/store/fingerprint_cache.h"
#include "model/store/folders.h"

namespace retort {
namespace {

constexpr size_t kHashedBytes = size_t{4} << 20;  // hashed at once
constexpr size_t kOldBytes = 4096;                // of each tensor, by the older rule
constexpr std::string_view kTree = "sha256-tree:";

struct Piece {
  size_t tensor;
  Bytes bytes;
  std::string digest;
};

std::vector<const TensorEntry*> ByName(const ModelFiles& files) {
  std::vector<const TensorEntry*> out;
  for (const TensorEntry& entry : files.tensors.entries()) out.push_back(&entry);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->name < b->name; });
  return out;
}

// " 4bit:" and a digest; "" if there are no scales beside the bytes.
std::string DigestOf(const Nf4Scales& scales) {
  if (!scales.absmax && !scales.codes) return "";
  std::string digests = Cat(scales.offset);
  for (const Tensor* t : {&scales.absmax, &scales.codes, &scales.nested_absmax})
    digests += " " + Sha256(Bytes(t->raw(), static_cast<size_t>(t->bytes())));
  return " 4bit:" + Sha256(digests);
}

std::string DigestOf(const ComputedTensor& computed) {
  std::string digests;
  for (const Bytes source : computed.sources()) digests += " " + Sha256(source);
  return " computed:" + Sha256(digests);
}

std::string HashOfAll(const ModelFiles& files, int threads) {
  const std::vector<const TensorEntry*> tensors = ByName(files);
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tensors.size(); ++t) {
    for (Bytes rest = tensors[t]->bytes; !rest.empty();) {
      const size_t size = std::min(rest.size(), kHashedBytes);
      pieces.push_back({t, rest.first(size), ""});
      rest = rest.subspan(size);
    }
  }
  // Few pieces are hashed sooner than threads are started.
  const int most = ThreadsFor(threads);
  ThreadPool pool(static_cast<int>(std::clamp<int64_t>(std::ssize(pieces) / 4, 1, most)));
  pool.For(std::ssize(pieces), [&](int64_t i, int) {
    Piece& piece = pieces[static_cast<size_t>(i)];
    piece.digest = Sha256(piece.bytes);
    tensors[piece.tensor]->file->Drop(piece.bytes);
  });
  std::string text;
  auto piece = pieces.begin();
  for (size_t t = 0; t < tensors.size(); ++t) {
    const TensorEntry& entry = *tensors[t];
    text += Cat(entry.name.size(), " ", entry.name, " ", ShapeText(entry.shape), " ",
                entry.type_name());
    for (; piece != pieces.end() && piece->tensor == t; ++piece) text += " " + piece->digest;
    text += DigestOf(entry.scales);
    if (entry.computed) text += DigestOf(*entry.computed);
    text += "\n";
  }
  return Cat(kTree, Sha256(text));
}

}  // namespace

std::string Fingerprint(const ModelFiles& files, int threads) {
  const FingerprintRecord record(TensorFiles(files));
  if (std::string known = record.Find(); known.starts_with(kTree)) return known;
  std::string made = HashOfAll(files, threads);
  record.Put(made);
  return made;
}

std::string OldFingerprint(const ModelFiles& files) {
  std::string text;
  for (const TensorEntry& entry : files.tensors.entries()) {
    text += Cat(entry.name, " ", ShapeText(entry.shape), " ", entry.type_name(), " ",
                Sha256(entry.bytes.first(std::min(entry.bytes.size(), kOldBytes))), "\n");
  }
  return Sha256(text);
}

bool HasFingerprint(const ModelFiles& files, const std::string& recorded, int threads) {
  return recorded ==
         (recorded.starts_with(kTree) ? Fingerprint(files, threads) : OldFingerprint(files));
}

std::string SourceFingerprint(const ModelFiles& files) {
  if (!files.gguf) return "";
  const GgufValue* value = files.gguf->metadata.Find(kSourceFingerprintKey);
  const auto* text = value ? std::get_if<std::string>(value) : nullptr;
  return text && text->starts_with(kTree) ? *text : "";
}

}  // namespace retort
