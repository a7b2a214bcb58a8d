// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/model_tokenizer.h"
#include "export/gguf_name.h"
#include "export/gguf_tensors.h"
#include "formats/gguf.h"
#include "model/spec/gguf_config.h"
#include "model/store/answer_schema.h"
#include "model/store/fingerprint.h"
#include "model/store/sampling_keys.h"
#include "model/stored_tensors.h"

namespace retort {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // of the block formats: ggml's since 2023

// general.file_type: llama.cpp's number for "mostly this type".
uint32_t FileType(const GgufExportOptions& options) {
  if (options.mix) return options.mix->file_type;
  const BlockFormat& f = TraitsOf(options.type);
  if (f.in_gguf()) return *f.file_type;
  throw InputError("--type ", f.name, " cannot be written to a GGUF; use one of ",
                   Join(GgufTypeNames(), ", "));
}

GgufMetadata MakeMetadata(const ModelFiles& source, const GgufExportOptions& options,
                          GgufExportResult* result) {
  GgufMetadata m;
  ConfigToGguf(source.config, source.path.string(), m);
  if (const Path advice = source.path / "generation_config.json"; std::filesystem::exists(advice))
    SamplingToGguf(ReadJson(advice), m);
  const Path folder = std::filesystem::absolute(source.path).lexically_normal();
  WriteGeneral((folder.has_filename() ? folder : folder.parent_path()).filename().string(),
               source.layout, m);
  m.Set("general.file_type", FileType(options));
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
  if (const auto schema = AnswerSchemaOf(source)) AnswerSchemaToGguf(*schema, m);
  // By this an adapter of the source knows the file as its base.
  m.Set(kSourceFingerprintKey, Fingerprint(source, options.threads));
  return m;
}

// The formats of a file's tensors.
class StoredFormats {
 public:
  StoredFormats(const ModelFiles& source, const GgufExportOptions& options)
      : source_(source), options_(options) {
    // Layers may have no matrix of values of their own.
    for (const TensorSpec& spec : source.layout.tensors) {
      const LinearSpec* linear = source.layout.LinearOf(spec);
      if (linear && IsValueName(spec.gguf_name)) value_layers_.push_back(linear->layer);
    }
  }

  // What is wanted for a tensor of that name and shape.
  WeightFormat Wanted(const TensorSpec& spec, const std::string& name,
                      const std::vector<int64_t>& shape) const {
    const LinearSpec* linear = source_.layout.LinearOf(spec);
    if (!linear || linear->use == LinearUse::kRouter) return WeightFormat::kF32;
    if (const auto own = options_.formats.find(name); own != options_.formats.end())
      return own->second;
    if (options_.pure) return options_.type;
    if (!options_.mix) return linear->in_block() ? options_.type : EmbeddingFormat(options_.type);
    MixPlace place{name,         linear->layer,    source_.config.layers(),
                   shape.back(), shape.size() > 2, !options_.importance.empty() || options_.tuning};
    if (IsValueName(name)) {
      const auto at = std::ranges::find(value_layers_, linear->layer);
      place.layer = at - value_layers_.begin();
      place.layers = std::ssize(value_layers_);
    }
    return FormatInMix(*options_.mix, source_.config, place);
  }
  // What its rows can have.
  WeightFormat Of(const TensorSpec& spec, const std::string& name,
                  const std::vector<int64_t>& shape) const {
    return FormatForRows(Wanted(spec, name, shape), shape.back());
  }

  // That of a matrix which is rounded with error feedback; empty: it is not.
  std::optional<WeightFormat> Tuned(const TensorSpec& spec) const {
    const LinearSpec* linear = source_.layout.LinearOf(spec);
    if (!options_.tuning || !linear || !linear->adaptable() || spec.split.present()) return {};
    const WeightFormat format = Of(spec, spec.gguf_name, spec.gguf_shape());
    if (!TraitsOf(format).grid) return {};
    return format;
  }

 private:
  const ModelFiles& source_;
  const GgufExportOptions& options_;
  std::vector<int64_t> value_layers_;
};

void DeclareTensors(const ModelFiles& source, const StoredFormats& formats, GgufWriter& writer,
                    GgufExportResult* result) {
  for (const auto& [name, values] : RopeTensors(source.config.ropes.front()))
    writer.Declare(name, WeightFormat::kF32, {std::ssize(values)});
  for (const TensorSpec& spec : source.layout.tensors) {
    if (spec.expert > 0) continue;  // expert 0 declares the stacked tensor of all experts
    const auto declare = [&](const std::string& name, const std::vector<int64_t>& shape) {
      const WeightFormat format = formats.Of(spec, name, shape);
      writer.Declare(name, format, shape);
      if (format != formats.Wanted(spec, name, shape))
        result->other_formats.emplace_back(name, format);
    };
    if (const HeadSplit& s = spec.split; s.present()) {
      declare(s.first_name, FirstShape(spec));
      declare(s.second_name, SecondShape(spec));
    } else {
      declare(spec.gguf_name, spec.gguf_shape());
    }
  }
}

}  // namespace

GgufExportOptions OptionsOfType(std::string_view name, bool pure, int threads) {
  const GgufMix* mix = FindMix(name);
  if (mix) return {FormatNamed(mix->format), pure, threads, mix};
  const std::vector<std::string> names = GgufTypeNames();
  if (std::ranges::find(names, name) == names.end()) {
    throw InputError(Quoted(name), " is not a type of GGUF files; use one of ", Join(names, ", "));
  }
  return {FormatNamed(name), pure, threads};
}

void RefuseGguf(const ModelFiles& source) {
  if (source.gguf)
    throw InputError(source.path.string(), ": is a GGUF already; --to hf makes a folder of it");
}

int64_t GgufBytes(const ModelFiles& source, const Path& target, const GgufExportOptions& options) {
  GgufExportResult ignored;
  GgufWriter writer(target, MakeMetadata(source, options, &ignored));
  DeclareTensors(source, StoredFormats(source, options), writer, &ignored);
  return static_cast<int64_t>(writer.PlannedBytes());
}

GgufExportResult WriteGguf(const ModelFiles& source, const Path& target,
                           const GgufExportOptions& options) {
  RefuseGguf(source);
  const Layout& layout = source.layout;
  GgufExportResult result;
  GgufWriter writer(target, MakeMetadata(source, options, &result));
  const std::vector<RopeTensor> factors = RopeTensors(source.config.ropes.front());
  const StoredFormats formats(source, options);
  DeclareTensors(source, formats, writer, &result);
  ThreadPool pool(ThreadsFor(options.threads));
  for (const auto& [name, values] : factors) writer.Write(name, std::as_bytes(std::span(values)));
  const auto memory = MakeHostMemory();
  for (const TensorSpec& spec : layout.tensors) {
    if (!spec.is_matrix()) {
      WriteVector(spec, FetchVector(source, spec), writer);
      continue;
    }
    CheckFinite(source, spec, pool);
    if (formats.Tuned(spec)) continue;
    const Weight w = FetchTensor(source, spec, *memory);
    if (const HeadSplit& s = spec.split; s.present()) {
      const WeightFormat first = formats.Of(spec, s.first_name, FirstShape(spec)),
                         second = formats.Of(spec, s.second_name, SecondShape(spec));
      for (const auto& [name, format] :
           {std::pair(s.first_name, first), std::pair(s.second_name, second)}) {
        if (TraitsOf(format).block_elements > 1) result.unweighted.push_back(name);
      }
      WriteSplit(spec, w, first, second, writer);
    } else {
      const WeightFormat format = formats.Of(spec, spec.gguf_name, spec.gguf_shape());
      const auto importance =
          options.importance.Of(spec.gguf_name, spec.expert, spec.experts, w.cols());
      if (importance.empty() && spec.expert <= 0 && TraitsOf(format).block_elements > 1)
        result.unweighted.push_back(spec.gguf_name);
      WriteMatrix(spec, w, format, importance, pool, writer);
    }
    if (const TensorEntry* entry = source.tensors.Find(PlaceOf(source, spec).name))
      entry->file->Drop(entry->bytes);
  }
  if (const Tuning* tuning = options.tuning) {
    const BlockRounding rounding = {
        .wanted = [&](const TensorSpec& spec) { return formats.Tuned(spec).has_value(); },
        .round =
            [&](const TensorSpec& spec, const Weight& w, const FeedbackFactor& factor) {
              return RoundedWithFeedback(w, *formats.Tuned(spec), factor, *memory, pool);
            },
        .use = [&](const TensorSpec& spec, const Weight& w) { WriteQuantised(spec, w, writer); }};
    TuneBlocks(source, tuning->examples, rounding, tuning->options, *tuning->model);
  }
  if (options.importance.empty()) result.unweighted.clear();
  writer.Commit();
  result.bytes = static_cast<int64_t>(std::filesystem::file_size(target));
  return result;
}

}  // namespace retort
