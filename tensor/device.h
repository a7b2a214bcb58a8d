// SPDX-License-Identifier: Apache-2.0
// A device: its memory, what passes between it and the host, and its queue. Kernels and copies run
// in the order in which they were asked for, and may run later than the call returns. Memory that
// is given back is used again only by what is asked for afterwards. The host may not touch a
// device's memory (Buffer::space()), except where both are the same.
//
// Not thread-safe: one caller at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "tensor/prepared.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace retort {

// A point in a device's queue. 0: nothing is left to wait for.
struct Event {
  uint64_t number = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string name() const = 0;  // "cpu"
  virtual Memory& memory() = 0;
  // Counted memory of the host: where weights are made ready, and results arrive. A device that
  // computes in host memory has no other.
  virtual Memory& host_memory() { return memory(); }
  // The host's threads, for the caller's own work between kernels.
  virtual ThreadPool& pool() = 0;
  int threads() { return pool().threads(); }

  // Values of the host as a tensor, or into one of their number and type. The source is free when
  // the call returns.
  template <class T>
  Tensor Upload(std::span<const T> values, Shape shape) {
    Tensor to = Tensor::Make(memory(), shape, kDTypeOf<T>);
    UploadBytes(std::as_bytes(values), to);
    return to;
  }
  template <class T>
  Tensor Upload(const std::vector<T>& values) {
    return Upload(std::span(values), Shape{std::ssize(values)});
  }
  template <class T>
  void Upload(std::span<const T> values, const Tensor& to) {
    RETORT_CHECK(to.dtype() == kDTypeOf<T>, "values into ", NameOf(to.dtype()));
    UploadBytes(std::as_bytes(values), to);
  }
  // The elements of x into `out`, which is theirs until the event has passed.
  template <class T>
  Event Download(const Tensor& x, std::span<T> out) {
    RETORT_CHECK(x.dtype() == kDTypeOf<T>, "values from ", NameOf(x.dtype()));
    return DownloadBytes(x, std::as_writable_bytes(out));
  }
  // Returns when everything up to the event is done. A fault of a kernel that runs late is thrown
  // here.
  virtual void Wait(Event event) = 0;
  template <class T>
  std::vector<T> ToHost(const Tensor& x) {
    std::vector<T> out(static_cast<size_t>(x.elements()));
    Wait(Download(x, std::span(out)));
    return out;
  }

  virtual PreparedWeight Prepare(const Weight& w, const WeightUse& use = {}) = 0;

 protected:
  virtual void UploadBytes(std::span<const std::byte> from, const Tensor& to) = 0;
  virtual Event DownloadBytes(const Tensor& x, std::span<std::byte> out) = 0;
};

}  // namespace retort
