// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_export.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "data/model_tokenizer.h"
#include "export/gguf_name.h"
#include "formats/gguf.h"
#include "model/spec/gguf_config.h"
#include "model/store/fingerprint.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr uint32_t kQuantizationVersion = 2;       // of the block formats: ggml's since 2023
constexpr int64_t kPanelBytes = int64_t{4} << 20;  // encoded rows per write

// general.file_type: llama.cpp's number for "mostly this type".
uint32_t FileType(WeightFormat format) {
  const BlockFormat& f = TraitsOf(format);
  if (f.in_gguf()) return *f.file_type;
  throw InputError("--type ", f.name, " cannot be written to a GGUF; use one of ",
                   Join(GgufFormatNames(), ", "));
}

GgufMetadata MakeMetadata(const ModelFiles& source, const GgufExportOptions& options,
                          GgufExportResult* result) {
  GgufMetadata m;
  ConfigToGguf(source.config, source.path.string(), m);
  const Path folder = std::filesystem::absolute(source.path).lexically_normal();
  WriteGeneral((folder.has_filename() ? folder : folder.parent_path()).filename().string(),
               source.layout, m);
  m.Set("general.file_type", FileType(options.type));
  m.Set("general.quantization_version", kQuantizationVersion);
  const auto tokenizer = LoadTokenizer(source);
  TokenizerSpec spec = tokenizer->spec();
  const std::vector<int32_t>& ends = source.config.ends;
  // Each id of the model's list ends a generation. GGUF's standard key holds one id. llama.cpp
  // reads a second one as the end of a turn; Retort reads all of them.
  if (!ends.empty() && std::find(ends.begin(), ends.end(), spec.eos) == ends.end())
    spec.eos = ends.front();
  result->notes = SpecToGguf(spec, source.config.vocab, source.path.string(), m);
  for (int32_t id : ends) {
    if (id != spec.eos && !m.Find("tokenizer.ggml.eot_token_id")) {
      m.Set("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(id));
    }
  }
  // All of them, also where one key would do: readers take tokens such as "<|im_end|>" for ends too.
  if (!ends.empty()) m.Set("retort.end_token_ids", GgufArray(ends));
  // By this an adapter of the source knows the file as its base.
  m.Set(kSourceFingerprintKey, Fingerprint(source, options.threads));
  return m;
}

void WriteMatrix(const TensorSpec& spec, const Weight& w, WeightFormat format, ThreadPool& pool,
                 GgufWriter& writer) {
  const int64_t row_bytes = RowBytes(format, w.cols());
  const int64_t panel = std::max<int64_t>(1, kPanelBytes / row_bytes);
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(panel, w.rows()) * row_bytes));
  std::vector<std::vector<float>> rows(static_cast<size_t>(pool.threads()),
                                       std::vector<float>(static_cast<size_t>(w.cols())));
  for (int64_t begin = 0; begin < w.rows(); begin += panel) {
    const int64_t count = std::min(panel, w.rows() - begin);
    pool.For(count, [&](int64_t i, int worker) {
      float* row = rows[static_cast<size_t>(worker)].data();
      DecodeRow(w, spec.order.HuggingFaceRow(begin + i, w.rows()), 0, w.cols(), row);
      EncodeRow(format, row, w.cols(), bytes.data() + i * row_bytes);
    });
    writer.Write(spec.gguf_name, Bytes(bytes).first(static_cast<size_t>(count * row_bytes)));
  }
}

void WriteVector(const TensorSpec& spec, const std::vector<float>& values, GgufWriter& writer) {
  std::vector<float> ordered(values.size());
  const auto size = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < size; ++i) {
    ordered[static_cast<size_t>(i)] =
        values[static_cast<size_t>(spec.order.HuggingFaceRow(i, size))];
  }
  writer.Write(spec.gguf_name, std::as_bytes(std::span(ordered)));
}

// The format of a tensor in the file. f16 if a row cannot be divided into blocks of the wanted one.
WeightFormat StoredFormat(const Layout& layout, const TensorSpec& spec,
                          const GgufExportOptions& options) {
  const LinearSpec* linear = layout.LinearOf(spec);
  if (!linear || linear->use == LinearUse::kRouter) return WeightFormat::kF32;
  const bool outer = !linear->in_block();
  const WeightFormat wanted = outer && !options.pure ? EmbeddingFormat(options.type) : options.type;
  return spec.shape[1] % TraitsOf(wanted).block_elements == 0 ? wanted : WeightFormat::kF16;
}

}  // namespace

GgufExportResult WriteGguf(const ModelFiles& source, const Path& target,
                           const GgufExportOptions& options) {
  if (source.gguf)
    throw InputError(source.path.string(),
                     ": is a GGUF already; export reads a Hugging Face folder");
  const Layout& layout = source.layout;
  GgufExportResult result;
  GgufWriter writer(target, MakeMetadata(source, options, &result));
  const std::vector<RopeTensor> factors = RopeTensors(source.config.ropes.front());
  for (const auto& [name, values] : factors)
    writer.Declare(name, WeightFormat::kF32, {std::ssize(values)});
  for (const TensorSpec& spec : layout.tensors) {
    if (spec.expert > 0) continue;  // expert 0 declares the stacked tensor of all experts
    const WeightFormat format = StoredFormat(layout, spec, options);
    writer.Declare(spec.gguf_name, format, spec.gguf_shape());
    if (spec.is_matrix() && format == WeightFormat::kF16 && options.type != format)
      result.kept_f16.push_back(spec.gguf_name);
  }
  ThreadPool pool(options.threads > 0 ? options.threads : AvailableProcessors());
  for (const auto& [name, values] : factors) writer.Write(name, std::as_bytes(std::span(values)));
  const auto memory = MakeHostMemory();
  for (const TensorSpec& spec : layout.tensors) {
    if (!spec.is_matrix()) {
      WriteVector(spec, FetchVector(source, spec), writer);
      continue;
    }
    CheckFinite(source, spec, pool);
    const Weight w = FetchTensor(source, spec, *memory);
    WriteMatrix(spec, w, StoredFormat(layout, spec, options), pool, writer);
    if (const TensorEntry* entry = source.tensors.Find(PlaceOf(source, spec).name))
      entry->file->Drop(entry->bytes);
  }
  writer.Commit();
  result.bytes = static_cast<int64_t>(std::filesystem::file_size(target));
  return result;
}

}  // namespace retort
