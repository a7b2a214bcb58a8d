// SPDX-License-Identifier: Apache-2.0
#include "tensor/backend.h"

#include <charconv>
#include <optional>

#include "base/strings.h"

namespace retort {
namespace {

// N of "cuda:N", 0 for "cuda" alone.
std::optional<int> CudaIndex(std::string_view device) {
  if (device == "cuda") return 0;
  if (!StartsWith(device, "cuda:")) return std::nullopt;
  const std::string_view digits = device.substr(5);
  int index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0)
    return std::nullopt;
  return index;
}

}  // namespace

std::unique_ptr<Backend> MakeBackend(const BackendOptions& options) {
  if (options.device == "auto" || options.device == "cpu") {
    return MakeCpuBackend(options.threads, options.compute,
                          options.counting ? PoolWork::kSkipped : PoolWork::kDone);
  }
  if (const std::optional<int> index = CudaIndex(options.device)) {
    if (options.counting)
      throw InputError("device '", options.device, "': memory is counted for the CPU only");
    return MakeCudaBackend(*index, options.threads, options.compute);
  }
  throw InputError("device '", options.device, "' is not known; use auto, cpu, cuda or cuda:N");
}

}  // namespace retort
