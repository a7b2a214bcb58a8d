// SPDX-License-Identifier: Apache-2.0
// Attention over the batch's own keys, as in training, and over a paged cache, as in the runner.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/stage.h"

namespace retort {
namespace {

struct Heads {
  int heads, kv_heads, head_dim;
  float soft_cap = 0;
};

struct Layout {
  std::string name;
  AttentionLayout layout;
  int64_t tokens;  // of the queries; those that no run covers must not be changed
  int64_t key_rows;
  int window = 0;
  bool pages = false;  // keys and values are in cache pages, [pages, K, P, D]
};

// The concatenated rows of a training batch. Each run attends to its own keys, in one block that
// begins where the run begins. `gap` tokens before and after belong to no run.
Layout BatchLayout(std::string name, const std::vector<int>& lengths, int window, int gap = 0) {
  Layout made{std::move(name), {}, gap, 0};
  made.window = window;
  made.layout.block_size = *std::ranges::max_element(lengths);
  for (int length : lengths) {
    const int first = static_cast<int>(made.tokens);
    const int block = static_cast<int>(made.layout.block_rows.size());
    made.layout.runs.push_back({first, length, 0, block});
    made.layout.block_rows.push_back(first);
    made.tokens += length;
  }
  made.tokens += gap;
  made.key_rows = made.tokens;
  return made;
}

struct Stream {
  int first_position, queries;
};

// Streams over a cache whose blocks are assigned in shuffled order; some are unused.
Layout PagedLayout(std::string name, const std::vector<Stream>& streams, int window) {
  constexpr int kBlock = 16;
  Layout made{std::move(name), {}, 0, 0};
  made.window = window;
  made.layout.block_size = kBlock;
  const auto blocks_of = [](const Stream& s) {
    return (s.first_position + s.queries - 1) / kBlock + 1;
  };
  int64_t blocks = 3;
  for (const Stream& s : streams) blocks += blocks_of(s);
  const std::vector<int64_t> order = Permutation(blocks, MakeKey(11, RandomUse::kShuffle));
  for (const Stream& s : streams) {
    const size_t first_block = made.layout.block_rows.size();
    made.layout.runs.push_back({static_cast<int32_t>(made.tokens), s.queries, s.first_position,
                                static_cast<int32_t>(first_block)});
    for (int i = 0; i < blocks_of(s); ++i) {
      const int64_t block = order[made.layout.block_rows.size()];
      made.layout.block_rows.push_back(static_cast<int32_t>(block * kBlock));
    }
    made.tokens += s.queries;
  }
  made.key_rows = blocks * kBlock;
  made.pages = true;
  return made;
}

// The floating-point operations of one product of queries with keys: two per multiply-add.
double ProductFlops(const Layout& where, const Heads& h) {
  double pairs = 0;
  for (const AttentionRun& run : where.layout.runs) {
    for (int i = 0; i < run.queries; ++i) {
      const int seen = run.first_position + i + 1;
      pairs += where.window > 0 ? std::min(seen, where.window) : seen;
    }
  }
  return 2 * pairs * h.heads * h.head_dim;
}

AttentionShape ShapeOf(const Layout& where, const Heads& h) {
  const float scale = 1 / std::sqrt(static_cast<float>(h.head_dim));
  return {h.heads, h.kv_heads, h.head_dim, scale, h.soft_cap, where.window};
}

std::string VariantOf(const Layout& where, const Heads& h, bool sharp) {
  return Cat(where.name, "_h", h.heads, "_k", h.kv_heads, "_d", h.head_dim,
             h.soft_cap > 0 ? "_cap" : "", sharp ? "_sharp" : "");
}

// Keys or values: normal where a query attends to them, and NaN elsewhere, as in fresh pages.
std::vector<float> KeyValues(Stage& stage, const Layout& where, int64_t cols) {
  std::vector<float> values(static_cast<size_t>(where.key_rows * cols),
                            std::numeric_limits<float>::quiet_NaN());
  const AttentionLayout& layout = where.layout;
  for (const AttentionRun& run : layout.runs) {
    const int end = run.first_position + run.queries;
    const int begin = where.window > 0 ? std::max(0, run.first_position - where.window + 1) : 0;
    for (int p = begin; p < end; ++p) {
      const auto block = static_cast<size_t>(run.first_block + p / layout.block_size);
      const std::vector<float> row = stage.Normal(cols);
      const int64_t at = (layout.block_rows[block] + p % layout.block_size) * cols;
      std::ranges::copy(row, values.begin() + at);
    }
  }
  return values;
}

// Rows [rows, K*D] in the order of pages.
std::vector<float> InPages(const std::vector<float>& rows, const Shape& pages) {
  std::vector<float> paged;
  const int64_t heads = pages[1], page_rows = pages[2], dim = pages[3];
  for (int64_t page = 0; page < pages[0]; ++page) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t row = page * page_rows; row < (page + 1) * page_rows; ++row) {
        const auto from = rows.begin() + (row * heads + head) * dim;
        paged.insert(paged.end(), from, from + dim);
      }
    }
  }
  return paged;
}

// f32 tensors have guards on both sides. Other types are written by StoreRows, without guards.
Tensor KeyTensor(Stage& stage, std::string name, const Layout& where, const Heads& h, DType type) {
  const int64_t page_rows = where.pages ? where.layout.block_size : 1,
                cols = int64_t{h.kv_heads} * h.head_dim;
  const Shape pages = {where.key_rows / page_rows, h.kv_heads, page_rows, h.head_dim};
  const std::vector<float> rows = KeyValues(stage, where, cols);
  if (type != DType::kF32) {
    const Tensor stored = stage.Pages(pages, type, rows);
    return where.pages ? stored : stored.Reshaped({where.key_rows, cols});
  }
  if (where.pages) return stage.Input(std::move(name), pages, InPages(rows, pages));
  return stage.Input(std::move(name), {where.key_rows, cols}, rows);
}

// bf16 rounds q, k, v and the probabilities with a root mean square error of 1.7e-3 each, and in
// the gradient dout and dS too, which is a difference. A backend may also compute in f32.
double ToleranceOf(Compute compute, bool sharp, bool gradient) {
  if (compute == Compute::kF32) return sharp ? 3e-5 : 2e-6;
  return gradient ? 8e-3 : 4e-3;
}
std::string SuffixOf(Compute compute) { return compute == Compute::kF32 ? "" : "_in_bf16"; }

// `sharp` multiplies the scores. At 40 their exponentials overflow f32 unless the maximum is
// subtracted first, and an f32 score itself is only accurate to about 1e-5.
OpCase ForwardCase(const Layout& where, const Heads& h, DType key_type, int sharp,
                   Compute compute = Compute::kF32) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Shape queries = {where.tokens, int64_t{h.heads} * h.head_dim};
    const Tensor q = stage->Input("q", queries, sharp);
    const Tensor keys = KeyTensor(*stage, "keys", where, h, key_type);
    const Tensor values = KeyTensor(*stage, "values", where, h, key_type);
    // Not NaN: queries that no run covers must keep their values.
    Tensor out = stage->InOut("out", queries);
    Tensor log_sum = stage->InOut("log_sum", {where.tokens, h.heads});
    return RunOn(stage, [=, &b, plan = b.Plan(where.layout)]() mutable {
      b.Attention(ShapeOf(where, h), *plan, q, keys, values, out, log_sum);
    });
  };
  const std::string suffix = key_type == DType::kF32 ? "" : Cat("_", NameOf(key_type));
  return {"attention",
          Cat(VariantOf(where, h, sharp > 1), suffix, SuffixOf(compute)),
          ToleranceOf(compute, sharp > 1, false),
          compute,
          2 * ProductFlops(where, h),
          8.0 * where.tokens * (h.heads + h.kv_heads) * h.head_dim,
          prepare};
}

// The gradient's inputs must be consistent, so they are computed by the double reference.
OpCase BackwardCase(const Layout& where, const Heads& h, int sharp,
                    Compute compute = Compute::kF32) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Shape queries = {where.tokens, int64_t{h.heads} * h.head_dim};
    const Shape keys_shape = {where.key_rows, int64_t{h.kv_heads} * h.head_dim};
    const Tensor dout = stage->Input("dout", queries);
    const std::vector<float> q_values = stage->Normal(queries.elements(), sharp);
    const std::vector<float> k_values = KeyValues(*stage, where, keys_shape[1]);
    const std::vector<float> v_values = KeyValues(*stage, where, keys_shape[1]);
    const std::unique_ptr<Backend> exact = MakeReferenceBackend();
    Tensor exact_out = exact->New(queries), exact_log_sum = exact->New({where.tokens, h.heads});
    exact->Fill(exact_out, 0);
    exact->Fill(exact_log_sum, 0);
    exact->Attention(ShapeOf(where, h), *exact->Plan(where.layout),
                     exact->FromFloats(q_values, queries), exact->FromFloats(k_values, keys_shape),
                     exact->FromFloats(v_values, keys_shape), exact_out, exact_log_sum);
    const Tensor q = stage->Input("q", queries, q_values);
    const Tensor keys = stage->Input("keys", keys_shape, k_values);
    const Tensor values = stage->Input("values", keys_shape, v_values);
    const Tensor out = stage->Input("out", queries, exact->ToFloats(exact_out));
    const Tensor log_sum =
        stage->Input("log_sum", {where.tokens, h.heads}, exact->ToFloats(exact_log_sum));
    Tensor dq = stage->InOut("dq", queries);
    Tensor dkeys = stage->InOut("dkeys", keys_shape);
    Tensor dvalues = stage->InOut("dvalues", keys_shape);
    return RunOn(stage, [=, &b, plan = b.Plan(where.layout)]() mutable {
      b.AttentionGrad(ShapeOf(where, h), *plan, dout, q, keys, values, out, log_sum, dq, dkeys,
                      dvalues);
    });
  };
  return {"attention_grad",
          Cat(VariantOf(where, h, sharp > 1), SuffixOf(compute)),
          ToleranceOf(compute, sharp > 1, true),
          compute,
          5 * ProductFlops(where, h),
          8.0 * where.tokens * (2 * h.heads + 3 * h.kv_heads) * h.head_dim,
          prepare};
}

std::vector<Layout> Layouts() {
  return {
      BatchLayout("row1", {1}, 0),
      BatchLayout("row17", {17}, 0),
      BatchLayout("row129", {129}, 0),
      BatchLayout("row129_w1", {129}, 1),
      BatchLayout("row129_w50", {129}, 50),
      BatchLayout("rows", {5, 1, 64, 2, 33}, 0),
      BatchLayout("rows_gap_w7", {9, 1, 40}, 7, 3),
      PagedLayout("decode", {{0, 1}, {70, 1}, {15, 1}, {16, 1}, {200, 1}}, 0),
      PagedLayout("decode_w20", {{3, 1}, {70, 1}, {47, 1}}, 20),
      PagedLayout("decode_long", {{255, 1}, {256, 1}, {0, 1}, {1100, 1}, {511, 1}}, 0),
      PagedLayout("decode_long_w300", {{299, 1}, {700, 1}, {400, 2}}, 300),
      PagedLayout("chunks", {{32, 17}, {5, 30}, {100, 1}, {0, 64}}, 0),
      PagedLayout("chunks_w33", {{32, 17}, {5, 30}, {100, 1}, {0, 64}}, 33),
  };
}

}  // namespace

std::vector<OpCase> AttentionCases() {
  constexpr Heads kHeads[] = {{1, 1, 8}, {2, 1, 16}, {4, 1, 64}, {6, 2, 64}, {4, 2, 128}};
  std::vector<OpCase> cases;
  for (const Layout& where : Layouts()) {
    for (const Heads& h : kHeads) {
      cases.push_back(ForwardCase(where, h, DType::kF32, 1));
      cases.push_back(BackwardCase(where, h, 1));
    }
    for (DType type : {DType::kF16, DType::kBF16}) {
      cases.push_back(ForwardCase(where, {6, 2, 64}, type, 1));
    }
    cases.push_back(ForwardCase(where, {2, 1, 16}, DType::kF32, 40));
    cases.push_back(BackwardCase(where, {2, 1, 16}, 40));
    // Scores are about 1, or 40 if sharp: the caps affect some scores, or nearly all.
    for (const Heads& h : {Heads{4, 2, 64, 1.5f}, {1, 1, 8, 1.5f}, {3, 1, 20, 1.5f}}) {
      cases.push_back(ForwardCase(where, h, DType::kF32, 1));
      cases.push_back(BackwardCase(where, h, 1));
    }
    cases.push_back(ForwardCase(where, {6, 2, 64, 1.5f}, DType::kF16, 1));
    cases.push_back(ForwardCase(where, {2, 1, 16, 20.0f}, DType::kF32, 40));
    cases.push_back(BackwardCase(where, {2, 1, 16, 20.0f}, 40));
    for (const Heads& h : {Heads{4, 2, 128}, {3, 1, 80}, {4, 2, 48, 1.5f}, {2, 1, 16}}) {
      cases.push_back(ForwardCase(where, h, DType::kF32, 1, Compute::kBF16));
      cases.push_back(BackwardCase(where, h, 1, Compute::kBF16));
    }
    for (DType type : {DType::kF16, DType::kBF16}) {
      cases.push_back(ForwardCase(where, {6, 2, 64}, type, 1, Compute::kBF16));
    }
  }
  // Wide heads, whose kernels may be others.
  for (const Layout& where :
       {BatchLayout("rows", {70, 1, 33}, 0), BatchLayout("row90_w20", {90}, 20),
        PagedLayout("mixed", {{300, 1}, {20, 40}}, 0)}) {
    for (const Heads& h : {Heads{2, 1, 256}, {1, 1, 144, 1.5f}}) {
      for (Compute compute : {Compute::kF32, Compute::kBF16}) {
        cases.push_back(ForwardCase(where, h, DType::kF32, 1, compute));
        cases.push_back(BackwardCase(where, h, 1, compute));
      }
    }
    cases.push_back(ForwardCase(where, {2, 1, 256}, DType::kF16, 1, Compute::kBF16));
  }
  // Rows that are long enough to be divided into several shares of queries.
  cases.push_back(BackwardCase(BatchLayout("row2100", {2100}, 0), {1, 1, 8}, 1));
  cases.push_back(BackwardCase(BatchLayout("long_gap_w300", {40, 2100}, 300, 3), {4, 2, 16}, 1));
  return cases;
}

}  // namespace retort
