// SPDX-License-Identifier: Apache-2.0
#include "formats/packed_folder.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "formats/packed_parts.h"

namespace retort {
namespace {

constexpr std::string_view kWhere = "config.json: quantization_config";

std::optional<std::pair<int64_t, int64_t>> BlockIn(const Json& settings, const char* key) {
  const auto found = settings.find(key);
  if (found == settings.end() || !found->is_array() || found->size() != 2) return std::nullopt;
  if (!(*found)[0].is_number_integer() || !(*found)[1].is_number_integer()) return std::nullopt;
  return std::pair{(*found)[0].get<int64_t>(), (*found)[1].get<int64_t>()};
}

// The one group of settings of compressed-tensors.
Json WeightsOf(const Json& settings, const std::string& where) {
  const auto groups = settings.find("config_groups");
  if (groups == settings.end() || !groups->is_object() || groups->size() != 1)
    throw InputError(where, ": one config_groups is read, with the same settings for all layers");
  const Json& group = groups->begin().value();
  const auto weights = group.is_object() ? group.find("weights") : group.end();
  if (weights == group.end() || !weights->is_object())
    throw InputError(where, ": its group has no 'weights'");
  return *weights;
}

// Reads the matrices of one folder.
class PackedReader {
 public:
  PackedReader(const TensorTable& table, const Json& settings, WeightFormat plain)
      : table_(table),
        settings_(settings),
        where_(Cat(table.where(), ": ", kWhere)),
        method_(settings["quant_method"].get<std::string>()),
        plain_(plain) {
    static const std::set<std::string> known = {"gptq", "awq",        "compressed-tensors",
                                                "fp8",  "fbgemm_fp8", "bitsandbytes"};
    if (known.contains(method_)) return;
    throw InputError(where_, ": quant_method ", Quoted(method_), " is not read; these are: ",
                     Join(std::vector<std::string>(known.begin(), known.end()), ", "),
                     ". Save the model without quantisation, or take its GGUF");
  }

  TensorTable Joined() {
    std::map<std::string, TensorEntry, std::less<>> joined;  // by the name of their codes
    std::set<std::string, std::less<>> parts;
    for (const TensorEntry& entry : table_.entries()) {
      auto [made, used] = Made(entry);
      if (!made) continue;
      joined.emplace(entry.name, std::move(*made));
      used.erase(entry.name);
      parts.insert(used.begin(), used.end());
    }
    TensorTable out(table_.where());
    for (const TensorEntry& entry : table_.entries()) {
      const auto found = joined.find(entry.name);
      if (found != joined.end())
        out.Add(std::move(found->second));
      else if (!parts.contains(entry.name) && !entry.name.ends_with(".input_scale"))
        out.Add(entry);
    }
    return out;
  }

 private:
  struct Result {
    std::optional<TensorEntry> entry;
    std::set<std::string> used;
  };

  // What a tensor of codes stands for.
  Result Made(const TensorEntry& entry) const {
    const std::string_view end = EndOf(entry);
    if (end.empty()) return {};
    PackedParts parts(table_, entry.name.substr(0, entry.name.size() - end.size()));
    Result out;
    if (method_ == "gptq")
      out.entry = ReadGptq(parts, settings_, where_, plain_);
    else if (method_ == "awq")
      out.entry = ReadAwq(parts, settings_, where_, plain_);
    else if (end == ".weight_packed")
      out.entry = ReadPackedWeight(parts, WeightsOf(settings_, where_), where_, plain_);
    else
      out.entry = ReadScaledWeight(parts, Block(), plain_);
    out.used = parts.used();
    return out;
  }

  // How the name of a tensor of codes ends; "" for another tensor.
  std::string_view EndOf(const TensorEntry& entry) const {
    if (method_ == "bitsandbytes") return "";
    const bool integers = method_ == "gptq" || method_ == "awq";
    for (const std::string_view end : {".qweight", ".weight_packed"}) {
      if (entry.name.ends_with(end) && integers == (end == ".qweight")) return end;
    }
    const bool small = entry.type_name() == "F8_E4M3" || entry.type_name() == "I8";
    return !integers && small && entry.name.ends_with(".weight") ? ".weight" : "";
  }

  std::optional<std::pair<int64_t, int64_t>> Block() const {
    if (method_ != "compressed-tensors") return BlockIn(settings_, "weight_block_size");
    const Json weights = WeightsOf(settings_, where_);
    return GetString(weights, "strategy", where_, "") == "block"
               ? BlockIn(weights, "block_structure")
               : std::nullopt;
  }

  const TensorTable& table_;
  const Json& settings_;
  std::string where_, method_;
  WeightFormat plain_;
};

}  // namespace

TensorTable JoinPacked(TensorTable table, const Json& quantization, WeightFormat plain) {
  if (quantization.is_null()) return table;
  if (!quantization.is_object() || !quantization.contains("quant_method") ||
      !quantization["quant_method"].is_string())
    throw InputError(table.where(), ": ", kWhere, " must be an object with a quant_method");
  return PackedReader(table, quantization, plain).Joined();
}

}  // namespace retort
