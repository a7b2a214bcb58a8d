// SPDX-License-Identifier: Apache-2.0
// A model's memory is the same whether its weights are there or not.
#include "session/memory_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "export/init_model.h"
#include "export/verify.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

const TableColumn& Column(const std::string& name) {
  for (const TableColumn& column : TableColumns()) {
    if (column.name == name) return column;
  }
  throw InputError(name);
}

class MemoryTableTest : public ::testing::Test {
 protected:
  MemoryTableTest() {
    std::filesystem::create_directories(folder_);
    std::string ids;
    for (int t = 0; t < 64; ++t) ids += Cat(t > 0 ? "," : "", t);
    WriteTextAtomically(folder_ / "rows.jsonl",
                        Cat(R"({"input_ids": [)", ids, R"(], "labels": [)", ids, "]}\n"));
  }
  ~MemoryTableTest() override { std::filesystem::remove_all(folder_); }

  // What a plan with a model's files counts for the same row.
  MemoryPlan PlanWithWeights(const TableColumn& column) {
    InitOptions init;
    init.config = config_;
    init.weights = column.stored == WeightFormat::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16;
    Path model = folder_ / column.name;
    WriteInitialModel(model, init);
    if (column.stored == WeightFormat::kQ8_0) {
      ExportGguf(OpenModel(model), folder_ / "model.gguf", OptionsOfType("q8_0"));
      model = folder_ / "model.gguf";
    }
    Recipe recipe = TableRecipe(settings_, column);
    recipe.model.path = model;
    recipe.data.train = {{folder_ / "rows.jsonl"}};
    return PlanMemory(OpenRecipe(recipe), 0);
  }

  const DenseConfig config_ = ShapeNamed("2,64,4,2,128,300");
  const std::vector<std::string> settings_ = {"data.max_tokens=64", "train.threads=2",
                                              "train.lr=1e-3"};
  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_memory_table_", ::getpid());
};

TEST_F(MemoryTableTest, CountsAsWithWeights) {
  for (const TableColumn& column : TableColumns()) {
    const MemoryPlan without =
        PlanWithoutWeights(config_, TableRecipe(settings_, column), column.stored);
    const MemoryPlan with = PlanWithWeights(column);
    EXPECT_EQ(without.counted.trained, with.counted.trained) << column.name;
    EXPECT_EQ(without.counted.optimizer, with.counted.optimizer) << column.name;
    if (column.stored == WeightFormat::kQ8_0) continue;  // a GGUF's rows are put into order
    EXPECT_EQ(without.counted.peak, with.counted.peak) << column.name;
    EXPECT_EQ(without.counted.weights, with.counted.weights) << column.name;
    EXPECT_EQ(without.counted.mapped, with.counted.mapped) << column.name;
  }
}

TEST_F(MemoryTableTest, ModelsThatFitNowhereAreCounted) {
  const auto process = [](const char* column) {
    return PlanWithoutWeights(ShapeNamed("2,8192,64,8,28672,32000"),
                              TableRecipe({"data.max_tokens=64"}, Column(column)),
                              Column(column).stored)
        .process;
  };
  constexpr int64_t kGiB = int64_t{1} << 30;
  const int64_t bf16 = process("LoRA, bf16"), nf4 = process("LoRA, nf4");
  EXPECT_GT(bf16, 3 * kGiB);        // of 2.2 billion parameters
  EXPECT_GT(bf16 - nf4, 2 * kGiB);  // so much less: both have what this process itself takes
  EXPECT_GT(process("every weight"), 32 * kGiB);  // f32, its gradient and two moments
}

TEST_F(MemoryTableTest, RefusesKeysThatSayNothingAboutMemory) {
  EXPECT_THROW(TableRecipe({"data.train=rows.jsonl"}, Column("LoRA, nf4")), Error);
  EXPECT_THROW(TableRecipe({"model.weights=f32"}, Column("LoRA, nf4")), Error);
  EXPECT_EQ(TableRecipe({"adapter.rank=64"}, Column("LoRA, nf4")).adapter.rank, 64);
  // Every weight: the adapter's keys say nothing.
  EXPECT_EQ(TableRecipe({"adapter.rank=64"}, Column("every weight")).adapter.kind, "none");
}

}  // namespace
}  // namespace retort
