// SPDX-License-Identifier: Apache-2.0
// Once a stream runs, generating its tokens requests no memory from the system: a step reuses the
// memory that the previous one freed. This file counts the allocations of the whole test program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "runner/engine/engine.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace {
std::atomic<int64_t> asked{0};
}  // namespace

#ifndef RETORT_SANITIZED  // the sanitizers have their own
namespace {
void* Asked(size_t bytes, size_t alignment) {
  ++asked;
  void* data = nullptr;
  if (posix_memalign(&data, alignment, bytes ? bytes : 1) != 0) throw std::bad_alloc();
  return data;
}
}  // namespace

void* operator new(size_t bytes) { return Asked(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return Asked(bytes, std::max(sizeof(void*), static_cast<size_t>(alignment)));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++asked;
  return std::malloc(bytes ? bytes : 1);
}
// Inlined into a caller of operator new they look like a mismatch to GCC.
[[gnu::noinline]] void operator delete(void* data) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete(void* data, size_t) noexcept { std::free(data); }
void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }
void operator delete(void* data, size_t, std::align_val_t) noexcept { std::free(data); }
#endif

namespace retort {
namespace {

TEST(TokenLoop, AsksTheSystemForNoMemory) {
#ifdef RETORT_SANITIZED
  GTEST_SKIP() << "what asks for memory is not counted";
#endif
  for (const bool int8 : {false, true}) {
    const auto backend = MakeCpuBackend(2, int8 ? Compute::kInt8 : Compute::kF32);
    DenseConfig config = SmallConfig(256);
    config.width = 64, config.ffn = 96, config.head_dim = 16;
    const auto model = RandomModel(config, 3, *backend);
    for (size_t id = 0; int8 && id < model->linears.size(); ++id) {
      if (!model->layout.linears[id].in_block()) continue;
      Linear& linear = model->linears[id];
      linear.weight =
          backend->Prepare(Requantised(linear.frozen().as<CpuWeight>().weight, WeightFormat::kQ8_0,
                                       false, backend->memory(), backend->pool()),
                           {.lasting = true});
    }
    const ByteTokenizer tokenizer;
    Engine engine(*model, nullptr, tokenizer, {.parallel = 2});
    GenerationRequest request;
    request.prompt = {1, 2, 3};
    request.sampling.max_tokens = 60;
    int64_t tokens = 0;
    request.on_event = [&](const GenerationEvent& event) {
      return tokens += std::ssize(event.ids), true;
    };
    engine.Submit(request);
    engine.Submit(request);
    // Up to the second page of each stream: taking a page lengthens lists.
    for (int i = 0; i < 32; ++i) ASSERT_TRUE(engine.Step());
    const int64_t before = asked, held = backend->memory().held_bytes(), begun = tokens;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(engine.Step());
    EXPECT_EQ(tokens - begun, 40);
    EXPECT_EQ(backend->memory().held_bytes(), held);
    // Each token is told in an event, whose list of ids is its own.
    EXPECT_LE(asked - before, tokens - begun) << (int8 ? "int8" : "f32");
  }
}

}  // namespace
}  // namespace retort
