// SPDX-License-Identifier: Apache-2.0
#include "export/measured_mix.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"

namespace retort {
namespace {

constexpr int kRounds = 4;  // of choosing for a KL
// What rounding with error feedback leaves of the KL of a block's matrix (docs/quantisation.md).
constexpr double kTunedShare = 0.2;
constexpr int64_t kTensorPadding = 32;  // bytes, at most, behind each tensor

const FormatChoice& ChoiceOf(const MeasuredMix& mix, size_t item) {
  return mix.items[item].choices[mix.chosen[item]];
}

void SetFormats(const MeasuredMix& mix, GgufExportOptions* options) {
  std::map<WeightFormat, int64_t> bytes;
  for (size_t i = 0; i < mix.items.size(); ++i) {
    const FormatChoice& choice = ChoiceOf(mix, i);
    options->formats[mix.items[i].name] = choice.format;
    bytes[choice.format] += choice.bytes;
  }
  options->mix = nullptr;
  // By the coarsest one the self-test knows how much may be lost.
  options->type = std::ranges::max_element(bytes, {}, [](const auto& of) {
                    return std::pair(TraitsOf(of.first).kl_limit, of.second);
                  })->first;
}

// The losses as they will be: embedding and head are not tuned.
std::vector<MixItem> TunedItems(std::vector<MixItem> items) {
  for (MixItem& item : items) {
    if (!item.name.starts_with("blk.")) continue;
    for (FormatChoice& choice : item.choices) choice.kl *= kTunedShare;
  }
  return items;
}

// The bytes of a file that are not in these tensors.
int64_t OtherBytes(const ModelFiles& source, const Path& target, const MeasuredMix& mix,
                   GgufExportOptions options) {
  SetFormats(mix, &options);
  int64_t bytes = GgufBytes(source, target, options);
  for (size_t i = 0; i < mix.items.size(); ++i) bytes -= ChoiceOf(mix, i).bytes;
  return bytes + kTensorPadding * std::ssize(mix.items);
}

int64_t BytesOf(const MeasuredMix& mix) {
  int64_t bytes = 0;
  for (size_t i = 0; i < mix.items.size(); ++i) bytes += ChoiceOf(mix, i).bytes;
  return bytes;
}

// KL does not quite add up: chooses again for what the measured KL of a choice says of it, and
// keeps the smallest mix that is close enough.
void ChooseByKl(double kl, FormatLosses& losses, MeasuredMix* mix) {
  constexpr double kNear = 0.9;  // of the wanted KL: no other round is worth its time
  double aim = kl, least = std::numeric_limits<double>::infinity();
  std::optional<MeasuredMix> smallest;
  for (int round = 0; round < kRounds; ++round) {
    mix->chosen = ChooseFormats(mix->items, {.kl = aim});
    mix->kl = losses.KlOf(mix->chosen);
    least = std::min(least, mix->kl);
    if (mix->kl <= kl && (!smallest || BytesOf(*mix) < BytesOf(*smallest))) smallest = *mix;
    if (mix->kl <= 0 || (mix->kl <= kl && mix->kl > kNear * kl)) break;
    double expected = 0;
    for (size_t i = 0; i < mix->items.size(); ++i) expected += ChoiceOf(*mix, i).kl;
    aim = expected * kl / mix->kl * 0.97;
  }
  if (!smallest)
    throw InputError("--kl ", kl, " is not reached: the closest mix that was found has ", least,
                     " before tuning; allow a larger one, or export --type f16");
  *mix = *smallest;
}

// The best mix whose file has at most so many bytes.
void ChooseBySize(int64_t most, const ModelFiles& source, const Path& target,
                  const GgufExportOptions& options, MeasuredMix* mix) {
  int64_t room = most - OtherBytes(source, target, *mix, options);
  for (int64_t over = 1; over > 0; room -= over) {
    mix->chosen = ChooseFormats(mix->items, {.bytes = room});
    GgufExportOptions chosen = options;
    SetFormats(*mix, &chosen);
    over = GgufBytes(source, target, chosen) - most;
  }
}

// "blk.3.ffn_down.weight": "ffn_down".
std::string RoleOf(const std::string& name) {
  std::string role;
  for (const std::string& part : Split(name, '.')) {
    const bool number = std::ranges::all_of(part, [](unsigned char c) { return std::isdigit(c); });
    if (part == "blk" || part == "weight" || number) continue;
    role += (role.empty() ? "" : ".") + part;
  }
  return role;
}

}  // namespace

std::vector<WeightFormat> MixFormats() {
  const WeightFormat first = FormatNamed("q4_0");  // rows of any model divide into its blocks
  std::vector<WeightFormat> out = {first};
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (f.grid && f.in_gguf() && format != first) out.push_back(format);
  }
  return out;
}

MeasuredMix ChooseMix(const ModelFiles& source, const Path& target, const MixGoal& goal,
                      FormatLosses& losses, GgufExportOptions* options) {
  MeasuredMix mix{TunedItems(losses.items()), std::vector<size_t>(losses.items().size()), 0};
  if (goal.kl) {
    ChooseByKl(*goal.kl, losses, &mix);
  } else {
    ChooseBySize(*goal.bytes, source, target, *options, &mix);
    mix.kl = losses.KlOf(mix.chosen);
  }
  SetFormats(mix, options);
  return mix;
}

Json MixJson(const MeasuredMix& mix) {
  Json tensors = Json::array();
  for (size_t i = 0; i < mix.items.size(); ++i) {
    const FormatChoice& choice = ChoiceOf(mix, i);
    tensors.push_back({{"name", mix.items[i].name},
                       {"format", TraitsOf(choice.format).name},
                       {"bytes", choice.bytes},
                       {"kl", choice.kl}});
  }
  return {{"kl", mix.kl}, {"tensors", tensors}};
}

std::vector<std::string> MixLines(const MeasuredMix& mix) {
  std::map<std::string, std::map<WeightFormat, int>> counts;
  for (size_t i = 0; i < mix.items.size(); ++i)
    ++counts[RoleOf(mix.items[i].name)][ChoiceOf(mix, i).format];
  std::vector<std::string> lines;
  lines.reserve(counts.size());
  for (const auto& [role, formats] : counts) {
    std::vector<std::string> parts;
    parts.reserve(formats.size());
    for (const auto& [format, count] : formats)
      parts.push_back(Cat(count, " ", TraitsOf(format).name));
    lines.push_back(Cat(role, ": ", Join(parts, ", ")));
  }
  return lines;
}

}  // namespace retort
