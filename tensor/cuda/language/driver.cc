// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/driver.h"

#include <cuda_runtime.h>

#include "base/error.h"

namespace retort::cuda {
namespace {

constexpr int kOldestMajor = 8;  // the first architecture that the kernels are compiled for

void Check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // told here, and not once more by the next launch
  if (status == cudaErrorMemoryAllocation)
    throw Failure("CUDA: ", what, ": the GPU's memory is full; use a smaller batch or model");
  throw Failure("CUDA: ", what, ": ", cudaGetErrorString(status));
}

class StreamMarker final : public Marker {
 public:
  explicit StreamMarker(cudaStream_t stream) {
    Check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "an event");
    Check(cudaEventRecord(event_, stream), "recording an event");
  }
  ~StreamMarker() override { cudaEventDestroy(event_); }
  StreamMarker(const StreamMarker&) = delete;
  StreamMarker& operator=(const StreamMarker&) = delete;

  void Wait() override { Check(cudaEventSynchronize(event_), "waiting for the GPU"); }
  bool Passed() override {
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    Check(status, "the GPU's work");
    return true;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// A thread has a current device of its own. Every call makes the stream's device current.
class Stream final : public Queue {
 public:
  Stream() {
    Check(cudaGetDevice(&device_), "the current device");
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
    Check(cudaDeviceGetDefaultMemPool(&pool_, device_), "the memory pool");
    uint64_t keep = UINT64_MAX;  // freed memory stays for later steps
    Check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
          "the memory pool");
  }
  ~Stream() override {
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::unique_ptr<Marker> Mark() override {
    Enter();
    return std::make_unique<StreamMarker>(stream_);
  }
  void Finish() override { Check(cudaStreamSynchronize(stream_), "waiting for the GPU"); }

  void* Allocate(int64_t bytes) override {
    Enter();
    void* address = nullptr;
    Check(cudaMallocAsync(&address, static_cast<size_t>(bytes), stream_), "allocating memory");
    return address;
  }
  void Free(void* address) override {
    cudaSetDevice(device_);
    if (cudaFreeAsync(address, stream_) != cudaSuccess) cudaGetLastError();
  }
  void TrimFree() override {
    Finish();
    Check(cudaMemPoolTrimTo(pool_, 0), "returning memory");
  }

  void CopyIn(void* device, const void* host, int64_t bytes) override {
    Check(
        cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_),
        "copying to the GPU");
  }
  void CopyOut(void* host, const void* device, int64_t bytes) override {
    Check(
        cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
        "copying from the GPU");
  }
  void* native() override {
    Enter();
    return stream_;
  }

 private:
  void Enter() const { Check(cudaSetDevice(device_), "choosing the device"); }

  int device_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace

DeviceFacts UseDevice(int index) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  if (index >= count) {
    throw Failure("CUDA device ", index, ": this machine has ", count,
                  count == 1 ? " GPU" : " GPUs", " that the driver shows; use --device cpu");
  }
  Check(cudaSetDevice(index), "choosing the device");
  cudaDeviceProp facts;
  Check(cudaGetDeviceProperties(&facts, index), "the device's properties");
  if (facts.major < kOldestMajor) {
    throw Failure("CUDA device ", index, ", ", facts.name, ", has compute capability ", facts.major,
                  ".", facts.minor, "; Retort needs ", kOldestMajor, ".0 or later");
  }
  return {facts.name,
          static_cast<int64_t>(facts.totalGlobalMem),
          facts.multiProcessorCount,
          facts.major,
          facts.minor,
          static_cast<int64_t>(facts.sharedMemPerBlockOptin)};
}

std::unique_ptr<Queue> MakeQueue() { return std::make_unique<Stream>(); }

void* AllocatePinned(int64_t bytes) {
  void* address = nullptr;
  Check(cudaMallocHost(&address, static_cast<size_t>(bytes)), "allocating pinned host memory");
  return address;
}
void FreePinned(void* address) { cudaFreeHost(address); }

void CheckLaunch() { Check(cudaGetLastError(), "launching a kernel"); }

}  // namespace retort::cuda
