// SPDX-License-Identifier: Apache-2.0
// Rows of several adapters in one batch: each has the bits that it has alone with its adapter, in
// every family and with all that an adapter may carry.
#include "model/row_adapters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "model/model.h"
#include "model/spec/config_reader.h"
#include "tensor/quant/format.h"
#include "tests/formats/support.h"
#include "tests/support/family_configs.h"
#include "tests/support/random_model.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

void Everywhere(AdapterConfig& c) { c.target_pattern = ".*"; }
void Attention(AdapterConfig& c) { c.rank = 2, c.target_pattern = ".*attn.*|.*attention.*"; }
void Dora(AdapterConfig& c) { c.dora = true; }
void LoraBias(AdapterConfig& c) { c.lora_bias = true; }
void Biases(AdapterConfig& c) { c.bias = "all"; }
void SavedModules(AdapterConfig& c) { c.saved_modules = {"lm_head", "norm", "down_proj"}; }
void SavedTable(AdapterConfig& c) { c.saved_modules = {"embed_tokens"}; }
void Tokens(AdapterConfig& c) { c.tokens = {{"", {250, 7, 299}}}; }
void TableSite(AdapterConfig& c) { c.targets = {"q_proj", "embed_tokens", "lm_head"}; }

// Those that the model has modules for.
std::vector<std::unique_ptr<Adapter>> AllKinds(const Model& model) {
  constexpr void (*kKinds[])(AdapterConfig&) = {
      Everywhere, Attention, Dora, LoraBias, Biases, Tokens, SavedModules, SavedTable, TableSite};
  std::vector<std::unique_ptr<Adapter>> out;
  for (const auto kind : kKinds) {
    AdapterConfig config;
    config.rank = 4, config.alpha = 6;
    kind(config);
    try {
      out.push_back(RandomAdapter(config, model, out.size() + 1));
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
    }
  }
  return out;
}

struct RowsOfAdapters {
  Batch batch;
  std::vector<AdapterRows> ranges;

  void Add(const Ids& ids, const Adapter* adapter) {
    const int64_t first = batch.tokens();
    batch.AddRow(ids, std::ssize(ranges));
    ranges.push_back({adapter, first, std::ssize(ids)});
  }
};

Ids IdsOf(size_t row, size_t size) {
  Ids ids;
  for (size_t i = 0; i < size; ++i)
    ids.push_back(static_cast<int32_t>((7 + row * 31 + i * 53) % 300));
  ids.front() = 250;
  return ids;
}

// Logits of all rows of the batch.
std::vector<double> LogitsOf(const Model& model, const Batch& batch, const RowAdapters& adapters) {
  Context context{model.backend};
  const Var hidden = model.Hidden(context, {batch, adapters});
  Ids rows;
  for (int32_t t = 0; t < batch.tokens(); ++t) rows.push_back(t);
  return model.backend.ToDoubles(model.Logits(context, adapters, hidden, rows));
}

// Each adapter's row, and one without, in one batch and alone.
void ExpectRowsAsAlone(const Model& model, std::span<const std::unique_ptr<Adapter>> adapters,
                       size_t tokens) {
  RowsOfAdapters all;
  std::vector<double> alone;
  for (size_t i = 0; i <= adapters.size(); ++i) {
    const Adapter* adapter = i < adapters.size() ? adapters[i].get() : nullptr;
    const Ids ids = IdsOf(i, tokens);
    all.Add(ids, adapter);
    RowsOfAdapters one;
    one.Add(ids, adapter);
    const std::vector<double> logits = LogitsOf(model, one.batch, adapter);
    alone.insert(alone.end(), logits.begin(), logits.end());
  }
  const std::vector<double> together = LogitsOf(model, all.batch, RowAdapters(all.ranges));
  const size_t each = alone.size() / all.ranges.size();
  ASSERT_EQ(together.size(), alone.size());
  for (size_t i = 0; i < all.ranges.size(); ++i) {
    const auto at = static_cast<int64_t>(i * each), end = static_cast<int64_t>((i + 1) * each);
    EXPECT_TRUE(std::equal(together.begin() + at, together.begin() + end, alone.begin() + at))
        << "adapter " << i;
  }
}

TEST(RowAdapters, AreThoseOfChosenRows) {
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(30), 1, *backend);
  const auto a = Adapter::Make({}, model->layout, 1, *backend);
  const std::vector<AdapterRows> ranges = {{a.get(), 0, 3}, {nullptr, 3, 2}, {a.get(), 5, 1}};
  const RowAdapters mixed(ranges);
  EXPECT_TRUE(mixed.mixed());
  EXPECT_THROW(static_cast<void>(mixed.one()), Error);
  std::vector<AdapterRows> held;
  const RowAdapters some = mixed.Of(Ids{1, 2, 5}, held);
  ASSERT_EQ(some.ranges().size(), 2u);
  EXPECT_EQ(some.ranges()[0].count, 2);
  EXPECT_EQ(some.ranges()[1].first, 2);
  EXPECT_EQ(some.ranges()[1].adapter, a.get());
  EXPECT_EQ(mixed.Of(Ids{3, 4}, held).one(), nullptr);  // of one range, as of one adapter
  EXPECT_FALSE(mixed.Of(Ids{}, held).mixed());
  EXPECT_EQ(RowAdapters(a.get()).Of(Ids{8}, held).one(), a.get());
  EXPECT_THROW(mixed.Of(Ids{6}, held), Error);
}

TEST(RowAdapters, RowsOfSeveralAreThoseOfEachAloneInEveryFamily) {
  const Json families = FamilyConfigs();
  for (const auto& [name, json] : families.items()) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    WriteTextAtomically(folder / "config.json", DumpJson(json));
    const auto backend = MakeReferenceBackend();
    const auto model = RandomModel(ReadConfig(folder.path()), 3, *backend);
    const auto adapters = AllKinds(*model);
    EXPECT_GE(adapters.size(), 5u);
    ExpectRowsAsAlone(*model, adapters, 5);
  }
}

// What an adapter trains is not in the rows of others.
TEST(RowAdapters, EachChangesItsOwnRowsAlone) {
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(300), 3, *backend);
  for (const auto& adapter : AllKinds(*model)) {
    RowsOfAdapters rows;
    rows.Add(IdsOf(1, 4), nullptr);
    const std::vector<double> base = LogitsOf(*model, rows.batch, nullptr);
    rows.Add(IdsOf(1, 4), adapter.get());
    rows.Add(IdsOf(1, 4), nullptr);
    const std::vector<double> all = LogitsOf(*model, rows.batch, RowAdapters(rows.ranges));
    const auto part = [&](size_t nth) {
      const auto begin = all.begin() + static_cast<int64_t>(nth * base.size());
      return std::vector<double>(begin, begin + static_cast<int64_t>(base.size()));
    };
    EXPECT_EQ(part(0), base);
    EXPECT_NE(part(1), base);
    EXPECT_EQ(part(2), base);
  }
}

// Up to 16 rows a product's bits do not depend on their number (docs/performance.md).
TEST(RowAdapters, BitsOnAProcessorAreThoseOfEachAloneAtAnyThreads) {
  for (const Compute compute : {Compute::kF32, Compute::kInt8}) {
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kQ8_0}) {
      SCOPED_TRACE(Cat(NameOf(compute), ", ", TraitsOf(format).name));
      std::vector<double> before;
      for (const int threads : {1, 2}) {
        const auto backend = MakeCpuBackend(threads, compute);
        DenseConfig config = SmallConfig(300);
        config.width = 64, config.ffn = 96, config.head_dim = 16;
        const auto model = RandomModel(config, 3, *backend, 1, format);
        const auto adapters = AllKinds(*model);
        // Blocks of 32 that are not copied are multiplied by other kernels from 3 rows on.
        const bool few = format != WeightFormat::kF32 && compute == Compute::kInt8;
        const size_t step = few ? 1 : 7;
        for (size_t first = 0; first < adapters.size(); first += step) {
          const size_t count = std::min(step, adapters.size() - first);
          ExpectRowsAsAlone(*model, std::span(adapters).subspan(first, count), few ? 1 : 2);
        }
        RowsOfAdapters all;
        for (size_t i = 0; i < 7; ++i) all.Add(IdsOf(i, 2), adapters[i].get());
        const std::vector<double> logits = LogitsOf(*model, all.batch, RowAdapters(all.ranges));
        if (!before.empty()) {
          EXPECT_EQ(logits, before);
        }
        before = logits;
      }
    }
  }
}

TEST(RowAdapters, OfSeveralAreNotTrained) {
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(300), 3, *backend);
  const auto adapters = AllKinds(*model);
  RowsOfAdapters rows;
  rows.Add(IdsOf(0, 3), adapters[0].get());
  rows.Add(IdsOf(1, 3), nullptr);
  Tape tape(*backend);
  Context context{*backend, &tape};
  EXPECT_THROW(model->Hidden(context, {rows.batch, RowAdapters(rows.ranges)}), Error);
}

}  // namespace
}  // namespace retort
