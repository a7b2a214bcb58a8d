// SPDX-License-Identifier: Apache-2.0
#include "export/init_model.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "formats/safetensors.h"
#include "model/layout.h"
#include "model/spec/config_writer.h"
#include "model/store/folders.h"
#include "model/store/target.h"
#include "tensor/quant/quant.h"
#include "tokenizer/byte_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace retort {
namespace {

constexpr double kDeviation = 0.02;

struct NamedShape {
  const char* name;
  const char* family;
  int64_t layers, width, heads, kv_heads, head_dim, ffn, vocab;
  bool tied;
  double rotary_base, epsilon;
  int64_t positions;
};
constexpr NamedShape kShapes[] = {
    {"smollm2-135m", "llama", 30, 576, 9, 3, 64, 1536, 49152, true, 1e5, 1e-5, 8192},
    {"llama3.2-1b", "llama", 16, 2048, 32, 8, 64, 8192, 128256, true, 5e5, 1e-5, 131072},
    {"llama3.1-8b", "llama", 32, 4096, 32, 8, 128, 14336, 128256, false, 5e5, 1e-5, 131072},
    {"llama3.1-70b", "llama", 80, 8192, 64, 8, 128, 28672, 128256, false, 5e5, 1e-5, 131072},
    {"qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, true, 1e6, 1e-6, 40960},
    {"qwen3-1.7b", "qwen3", 28, 2048, 16, 8, 128, 6144, 151936, true, 1e6, 1e-6, 40960},
    {"qwen3-4b", "qwen3", 36, 2560, 32, 8, 128, 9728, 151936, true, 1e6, 1e-6, 40960},
    {"qwen3-8b", "qwen3", 36, 4096, 32, 8, 128, 12288, 151936, false, 1e6, 1e-6, 40960},
};

DenseConfig ConfigOf(const NamedShape& s) {
  DenseConfig c;
  c.family = s.family;
  c.layers = s.layers, c.width = s.width, c.heads = s.heads, c.kv_heads = s.kv_heads;
  c.head_dim = s.head_dim, c.ffn = s.ffn, c.vocab = s.vocab;
  c.tied = s.tied;
  c.rotary_base = s.rotary_base;
  c.norm_epsilon = s.epsilon;
  c.max_positions = s.positions;
  c.qk_norm = c.family == "qwen3" ? QkNorm::kHeads : QkNorm::kNone;
  return c;
}

bool EntersResidual(const LinearSpec& linear) {
  return linear.use == LinearUse::kAttentionOut || linear.use == LinearUse::kMlpOut;
}

void FillRow(const Layout& layout, const TensorSpec& spec, int64_t layers, PhiloxKey key,
             std::vector<float>& row) {
  const LinearSpec* linear = layout.LinearOf(spec);
  if (!linear) {
    std::fill(row.begin(), row.end(), spec.target.kind == Target::Kind::kBias ? 0.0f : 1.0f);
    return;
  }
  const double deviation = EntersResidual(*linear)
                               ? kDeviation / std::sqrt(2.0 * static_cast<double>(layers))
                               : kDeviation;
  RandomStream random(key);
  for (float& v : row) v = static_cast<float>(deviation * random.Normal());
}

void WriteWeights(const Path& path, const InitOptions& options) {
  const Layout layout = LayoutOf(options.config);
  const std::vector<TensorSpec>& tensors = layout.tensors;
  SafetensorsWriter writer(path, {{"format", "pt"}});
  for (const TensorSpec& spec : tensors) writer.Declare(spec.name, options.weights, spec.shape);
  for (size_t t = 0; t < tensors.size(); ++t) {
    const int64_t cols = tensors[t].shape.back(),
                  rows = tensors[t].shape.size() > 1 ? tensors[t].shape[0] : 1;
    std::vector<float> row(static_cast<size_t>(cols));
    std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(options.weights, cols)));
    for (int64_t r = 0; r < rows; ++r) {
      FillRow(layout, tensors[t], options.config.layers,
              MakeKey(options.seed, RandomUse::kInit, NameKey(tensors[t].name),
                      static_cast<uint64_t>(r)),
              row);
      EncodeRow(options.weights, row.data(), cols, bytes.data());
      writer.Write(tensors[t].name, bytes);
    }
  }
  writer.Commit();
}

}  // namespace

DenseConfig ShapeNamed(const std::string& shape) {
  std::string names;
  for (const NamedShape& s : kShapes) {
    if (shape == s.name) return ConfigOf(s);
    names += Cat(s.name, ", ");
  }
  std::vector<int64_t> numbers;
  for (const std::string& part : Split(shape, ',')) {
    int64_t n = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), n);
    if (error == std::errc() && end == part.data() + part.size()) numbers.push_back(n);
  }
  if (numbers.size() != 6 || Split(shape, ',').size() != 6) {
    throw InputError("--shape '", shape, "' is not known; use ", names,
                     "or six numbers L,D,H,KV,F,V");
  }
  DenseConfig c;
  c.family = "llama";
  c.layers = numbers[0], c.width = numbers[1], c.heads = numbers[2], c.kv_heads = numbers[3];
  c.ffn = numbers[4], c.vocab = numbers[5];
  c.head_dim = c.heads > 0 ? c.width / c.heads : 0;
  c.norm_epsilon = 1e-5;
  if (c.heads > 0 && c.width % c.heads != 0) {
    throw InputError("--shape '", shape, "': width ", c.width, " is no multiple of ", c.heads,
                     " heads");
  }
  Validate(c, Cat("--shape '", shape, "'"));
  return c;
}

std::vector<std::string> ShapeNames(const std::string& prefix) {
  std::vector<std::string> names;
  for (const NamedShape& s : kShapes) {
    if (std::string_view(s.name).starts_with(prefix)) names.emplace_back(s.name);
  }
  return names;
}

void WriteInitialModel(const Path& out, const InitOptions& options) {
  InitOptions filled = options;
  CheckTarget(out, TargetKind::kFolder, {options.tokenizer});
  const TargetLock lock(out);
  AtomicFolder folder(out);
  if (options.tokenizer.empty()) {
    WriteByteTokenizer(folder.path(), options.config.vocab);
  } else {
    CopyTokenizerFiles(options.tokenizer, folder.path());
  }
  const auto tokenizer = Tokenizer::Load(folder.path());
  if (tokenizer->vocab_size() > options.config.vocab) {
    throw InputError(options.tokenizer.string(), ": the tokenizer has ", tokenizer->vocab_size(),
                     " ids, the shape's vocabulary only ", options.config.vocab);
  }
  filled.config.bos = tokenizer->spec().bos;
  if (tokenizer->spec().eos >= 0) filled.config.ends = {tokenizer->spec().eos};
  const std::string dtype = options.weights == WeightFormat::kBF16 ? "bfloat16" : "float32";
  WriteTextAtomically(folder.path() / "config.json",
                      DumpJson(ConfigJson(filled.config, dtype), 2) + "\n");
  WriteWeights(folder.path() / "model.safetensors", filled);
  folder.Commit();
}

}  // namespace retort
