// SPDX-License-Identifier: Apache-2.0
// Thousands of damaged copies of good files. Each is read or rejected with Error{kInput}, and no
// allocation is out of proportion to the size of the file, regardless of the counts in it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/random.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "tests/formats/support.h"

namespace {

thread_local size_t largest_allocation = 0;

void* Allocate(size_t bytes) {
  largest_allocation = std::max(largest_allocation, bytes);
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}

}  // namespace

// The whole test program's: they only watch.
void* operator new(size_t bytes) { return Allocate(bytes); }
void* operator new[](size_t bytes) { return Allocate(bytes); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }

namespace retort {
namespace {

constexpr int kMutations = 20'000;

std::string GoodSafetensors(const TemporaryFolder& folder) {
  SafetensorsWriter writer(folder / "good", {{"format", "pt"}});
  writer.Declare("model.embed", WeightFormat::kF32, {4, 8});
  writer.Declare("model.norm", WeightFormat::kBF16, {8});
  writer.Declare("lm_head", WeightFormat::kF16, {2, 3});
  writer.Write("model.embed", BytesOf(std::vector<float>(32, 1.5f)));
  writer.Write("model.norm", BytesOf(std::vector<uint16_t>(8, 7)));
  writer.Write("lm_head", BytesOf(std::vector<uint16_t>(6, 9)));
  writer.Commit();
  return ReadText(folder / "good");
}

std::string GoodGguf(const TemporaryFolder& folder) {
  GgufMetadata m;
  m.Set("general.architecture", std::string("llama"));
  m.Set("general.alignment", uint32_t{32});
  m.Set("tokens", GgufArray(std::vector<std::string>{"a", "bc", "def"}));
  m.Set("scores", GgufArray(std::vector<float>{1, 2, 3}));
  m.Set("nested",
        GgufArray(std::vector<GgufArray>{std::vector<uint64_t>{1}, std::vector<bool>{true}}));
  m.Set("flag", true);
  GgufWriter writer(folder / "good", m);
  writer.Declare("token_embd.weight", WeightFormat::kQ8_0, {3, 32});
  writer.Declare("output_norm.weight", WeightFormat::kF32, {32});
  writer.Write("token_embd.weight", BytesOf(std::vector<char>(102, 3)));
  writer.Write("output_norm.weight", BytesOf(std::vector<float>(32, 1)));
  writer.Commit();
  return ReadText(folder / "good");
}

// A few damages: a bit turned, a byte set to one that often means something, eight bytes set to a
// number near a limit, a piece cut out, doubled, or the end cut off.
std::string Mutated(std::string text, RandomStream& random) {
  for (uint64_t damages = 1 + random.Below(3); damages > 0 && !text.empty(); --damages) {
    const size_t at = random.Below(text.size());
    switch (random.Below(6)) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ 1 << random.Below(8));
        break;
      case 1:
        text[at] = "\0\1\x7f\x80\xff{}[]\",:-09"[random.Below(16)];
        break;
      case 2: {
        constexpr uint64_t kNumbers[] = {0,
                                         1,
                                         0xffffffff,
                                         uint64_t{1} << 31,
                                         uint64_t{1} << 40,
                                         uint64_t{1} << 63,
                                         ~uint64_t{0},
                                         ~uint64_t{0} / 8 + 1};
        const uint64_t number = kNumbers[random.Below(8)];
        std::memcpy(text.data() + at, &number, std::min<size_t>(8, text.size() - at));
        break;
      }
      case 3:
        text.erase(at, 1 + random.Below(16));
        break;
      case 4:
        text.insert(at, text.substr(at, 1 + random.Below(16)));
        break;
      case 5:
        text.resize(at);
        break;
    }
  }
  return text;
}

// Reads mutations of `good` through `read`; at least some must be read and some refused, or the
// mutations teach nothing.
void Mutate(const TemporaryFolder& folder, const std::string& good, uint64_t seed,
            const std::function<size_t(const Path&)>& read) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  int refused = 0;
  size_t bytes = 0;
  for (int i = 0; i < kMutations; ++i) {
    const std::string text = Mutated(good, random);
    const Path path = folder.Put("m", text);
    largest_allocation = 0;
    try {
      bytes += read(path);
    } catch (const Error& e) {
      ++refused;
      ASSERT_EQ(e.kind(), Error::Kind::kInput) << i << ": " << e.what();
      ASSERT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos) << e.what();
      ASSERT_NE(std::string_view(e.what()).find("/m: "), std::string_view::npos) << e.what();
    }
    ASSERT_LE(largest_allocation, 16 * good.size() + 65'536) << i;
  }
  EXPECT_GT(refused, kMutations / 10);
  EXPECT_LT(refused, kMutations);
  EXPECT_GT(bytes, 0u);
}

// Every byte that an entry claims is touched, so that a sanitizer sees one outside the file.
size_t Touch(const TensorTable& table) {
  size_t sum = 0;
  for (const TensorEntry& entry : table.entries()) {
    for (std::byte b : entry.bytes) sum += std::to_integer<size_t>(b);
  }
  return sum;
}

TEST(Mutations, OfSafetensorsAreReadOrRefused) {
  TemporaryFolder folder;
  Mutate(folder, GoodSafetensors(folder), 1,
         [](const Path& path) { return Touch(ReadSafetensors(path).tensors); });
}

TEST(Mutations, OfGgufAreReadOrRefused) {
  TemporaryFolder folder;
  Mutate(folder, GoodGguf(folder), 2,
         [](const Path& path) { return Touch(ReadGguf(path).tensors); });
}

TEST(Mutations, EveryTruncationOfGgufAndSafetensorsIsRefused) {
  TemporaryFolder folder;
  const std::string st = GoodSafetensors(folder), gguf = GoodGguf(folder);
  for (size_t n = 0; n < st.size(); ++n) {
    EXPECT_THROW(ReadSafetensors(folder.Put("m", st.substr(0, n))), Error) << n;
  }
  for (size_t n = 0; n < gguf.size(); ++n) {
    EXPECT_THROW(ReadGguf(folder.Put("m", gguf.substr(0, n))), Error) << n;
  }
}

}  // namespace
}  // namespace retort
