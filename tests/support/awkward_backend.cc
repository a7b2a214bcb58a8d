// SPDX-License-Identifier: Apache-2.0
#include "tests/support/awkward_backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "base/rounding.h"

namespace retort {
namespace {

constexpr int64_t kSpace = int64_t{8} << 30;  // address space; pages are allocated when written
constexpr int64_t kPage = 4096;
constexpr size_t kLongQueue = 2048;

// Pages that are only accessible while kernels run.
class ClosedPages {
 public:
  ClosedPages()
      : base_(static_cast<std::byte*>(
            mmap(nullptr, kSpace, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    RETORT_CHECK(base_ != MAP_FAILED);
  }
  ~ClosedPages() { munmap(base_, kSpace); }
  ClosedPages(const ClosedPages&) = delete;
  ClosedPages& operator=(const ClosedPages&) = delete;

  void Open(bool open) {
    const auto bytes = static_cast<size_t>(RoundUp(used_, kPage));
    RETORT_CHECK(mprotect(base_, bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) == 0);
  }
  // A free block of exactly this size, or a new one.
  std::byte* Allocate(int64_t size) {
    live_ += size;
    peak_ = std::max(peak_, live_);
    if (const auto found = free_.find(size); found != free_.end()) {
      std::byte* block = found->second;
      free_.erase(found);
      return block;
    }
    RETORT_CHECK(used_ + size <= kSpace, "the awkward device is full");
    used_ += size;
    return base_ + used_ - size;
  }
  void Free(std::byte* block, int64_t size) {
    live_ -= size;
    free_.emplace(size, block);
  }

  int64_t live_ = 0, peak_ = 0, used_ = kPage;

 private:
  std::byte* base_;
  std::multimap<int64_t, std::byte*> free_;
};

class DeviceBuffer : public Buffer {
 public:
  DeviceBuffer(std::shared_ptr<ClosedPages> pages, int64_t bytes)
      : pages_(std::move(pages)), size_(RoundUp(std::max<int64_t>(bytes, 1), 64)) {
    space_ = Space::kDevice;
    bytes_ = bytes;
    data_ = pages_->Allocate(size_);
  }
  ~DeviceBuffer() override { pages_->Free(data_, size_); }

 private:
  std::shared_ptr<ClosedPages> pages_;
  int64_t size_;
};

// Borrowed bytes of the device as host memory, for use while the pages are open.
class Alias : public Buffer {
 public:
  Alias(std::byte* at, int64_t bytes) { data_ = at, bytes_ = bytes; }
};

// A weight in the device's memory, and the inner backend's prepared form of it.
struct AwkwardWeight : PreparedWeight::Data {
  std::vector<Tensor> stored;
  PreparedWeight inner;
};

struct AwkwardPlan : AttentionPlan {
  std::shared_ptr<const AttentionPlan> inner;
};

// Arguments converted for the inner backend. The tensors do not own their memory: it must be safe
// to free a buffer while work on it is queued.
Tensor Local(const Tensor& t) {
  if (!t) return {};
  RETORT_CHECK(t.space() == Buffer::Space::kDevice, "a tensor of the host's memory");
  return Tensor(std::make_shared<Alias>(t.address(), t.bytes()), t.shape(), t.dtype());
}
PreparedWeight Local(const PreparedWeight& w) { return w.as<AwkwardWeight>().inner; }
DropoutMask Local(const DropoutMask& m) {
  return {m.rate, m.seed, Local(m.row_index), Local(m.row_token)};
}
DistillTokens Local(const DistillTokens& t) {
  return {Local(t.targets), Local(t.ce_weight), Local(t.kd_weight), t.scale,
          Local(t.ce),      Local(t.kd),        Local(t.losses)};
}
TopOutcomes Local(const TopOutcomes& t) {
  return {t.kept, t.vocab, Local(t.ids), Local(t.log_probs), Local(t.tail)};
}
AdapterProduct Local(const AdapterProduct& p) {
  return {Local(p.a), Local(p.b), p.scale, Local(p.input), Local(p.u)};
}
UniformNoise Local(const UniformNoise& noise) {
  return {noise.seed, Local(noise.row_index), Local(noise.row_token), Local(noise.amplitude)};
}
template <class T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T> T Local(T value) { return value; }
AdamWStep Local(const AdamWStep& step) { return step; }
LionStep Local(const LionStep& step) { return step; }
SgdStep Local(const SgdStep& step) { return step; }
AdafactorStep Local(const AdafactorStep& step) { return step; }
ByteMoment Local(const ByteMoment& moment) { return {Local(moment.codes), Local(moment.scales)}; }
RouteRule Local(const RouteRule& rule) {
  RouteRule local = rule;
  local.bias = Local(rule.bias);
  return local;
}
DistillSettings Local(const DistillSettings& settings) { return settings; }
AttentionShape Local(const AttentionShape& shape) { return shape; }
std::shared_ptr<const AttentionPlan> Local(const AttentionPlan& plan) {
  const auto* own = dynamic_cast<const AwkwardPlan*>(&plan);
  RETORT_CHECK(own, "a plan of another device");
  return own->inner;
}

}  // namespace

class AwkwardMemory : public Memory {
 public:
  std::shared_ptr<Buffer> Allocate(int64_t bytes) override {
    return std::make_shared<DeviceBuffer>(pages_, bytes);
  }
  std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) override { return Allocate(bytes); }
  int64_t live_bytes() const override { return pages_->live_; }
  int64_t peak_bytes() const override { return pages_->peak_; }
  int64_t held_bytes() const override { return pages_->used_; }
  int64_t reached_bytes() const override { return pages_->used_; }
  void ResetPeak() override { pages_->peak_ = pages_->live_; }
  void Trim() override {}
  void Open(bool open) { pages_->Open(open); }

 private:
  std::shared_ptr<ClosedPages> pages_ = std::make_shared<ClosedPages>();
};

AwkwardBackend::AwkwardBackend(std::unique_ptr<Backend> inner)
    : inner_(std::move(inner)), memory_(std::make_shared<AwkwardMemory>()) {}
AwkwardBackend::~AwkwardBackend() = default;

std::unique_ptr<AwkwardBackend> MakeAwkwardBackend(int threads, Compute compute) {
  return std::make_unique<AwkwardBackend>(MakeCpuBackend(threads, compute));
}

Memory& AwkwardBackend::memory() { return *memory_; }

void AwkwardBackend::Enqueue(std::function<void()> work) {
  queue_.push_back(std::move(work));
  ++asked_;
  if (queue_.size() > kLongQueue) RunUpTo(asked_ - kLongQueue / 2);
}

void AwkwardBackend::RunUpTo(uint64_t number) {
  if (done_ >= number) return;
  struct Opened {
    explicit Opened(AwkwardMemory& m) : memory(m) { memory.Open(true); }
    ~Opened() { memory.Open(false); }
    AwkwardMemory& memory;
  } opened(*memory_);
  while (done_ < number) {
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    ++done_;
    try {
      work();
    } catch (...) {
      // The caller unwinds, and with it go the targets of downloads that still wait.
      queue_.clear();
      done_ = asked_;
      throw;
    }
  }
}

void AwkwardBackend::Wait(Event event) { RunUpTo(std::min(event.number, asked_)); }

void AwkwardBackend::UploadBytes(std::span<const std::byte> from, const Tensor& to) {
  RETORT_CHECK(std::ssize(from) == to.bytes(), from.size(), " bytes as ", to.shape().text());
  Enqueue([staged = std::vector<std::byte>(from.begin(), from.end()), at = to.address()] {
    if (!staged.empty()) std::memcpy(at, staged.data(), staged.size());
  });
}

Event AwkwardBackend::DownloadBytes(const Tensor& x, std::span<std::byte> out) {
  RETORT_CHECK(std::ssize(out) == x.bytes(), out.size(), " bytes of ", x.shape().text());
  Enqueue([out, at = x.address()] {
    if (!out.empty()) std::memcpy(out.data(), at, out.size());
  });
  return {asked_};
}

PreparedWeight AwkwardBackend::Prepare(const Weight& w, const WeightUse& use) {
  auto own = std::make_shared<AwkwardWeight>();
  const auto store = [&](Bytes bytes, Shape shape, DType type) {
    const Tensor to = Tensor::Make(memory(), shape, type);
    UploadBytes(bytes, to);
    own->stored.push_back(to);
    return Local(to);
  };
  const auto store_tensor = [&](const Tensor& t) {
    return t ? store(Bytes(t.raw(), static_cast<size_t>(t.bytes())), t.shape(), t.dtype()) : t;
  };
  const Tensor bytes = store(w.bytes(), {std::ssize(w.bytes())}, DType::kU8);
  Nf4Scales scales = w.nf4();
  for (Tensor* t : {&scales.absmax, &scales.codes, &scales.nested_absmax}) *t = store_tensor(*t);
  const Weight here(w.format(), w.rows(), w.cols(), Bytes(bytes.address(), w.bytes().size()),
                    nullptr, scales, w.layout());
  // Not lasting: a copy would read the bytes now, before they are uploaded.
  own->inner = inner_->Prepare(here, {use.purpose, use.sensitive, false});
  return {w.rows(), w.cols(), w.total_bytes(), own->inner.compute(), own};
}

std::shared_ptr<const AttentionPlan> AwkwardBackend::Plan(const AttentionLayout& layout) {
  auto plan = std::make_shared<AwkwardPlan>();
  plan->inner = inner_->Plan(layout);
  return plan;
}

template <class Kernel, class... Arguments>
void AwkwardBackend::Queue(Kernel kernel, const Arguments&... arguments) {
  Enqueue([inner = inner_.get(), kernel, local = std::make_tuple(Local(arguments)...)]() mutable {
    std::apply([&](auto&... each) { kernel(*inner, each...); }, local);
  });
}

#define RETORT_QUEUE(kernel, ...) \
  Queue([](Backend& inner, auto&... each) { inner.kernel(each...); }, __VA_ARGS__)

void AwkwardBackend::Fill(Tensor& x, float value) { RETORT_QUEUE(Fill, x, value); }
void AwkwardBackend::Add(const Tensor& a, const Tensor& b, Tensor& out) {
  RETORT_QUEUE(Add, a, b, out);
}
void AwkwardBackend::Accumulate(const Tensor& x, Tensor& sum) { RETORT_QUEUE(Accumulate, x, sum); }
void AwkwardBackend::Scale(Tensor& x, float factor) { RETORT_QUEUE(Scale, x, factor); }
void AwkwardBackend::AddBias(Tensor& y, const Tensor& bias) { RETORT_QUEUE(AddBias, y, bias); }
void AwkwardBackend::BiasGrad(const Tensor& dy, Tensor& dbias) {
  RETORT_QUEUE(BiasGrad, dy, dbias);
}
void AwkwardBackend::Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) {
  RETORT_QUEUE(Dropout, x, mask, y);
}
void AwkwardBackend::DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) {
  RETORT_QUEUE(DropoutGrad, dy, mask, dx);
}
void AwkwardBackend::AddNoise(Tensor& x, const UniformNoise& noise) {
  RETORT_QUEUE(AddNoise, x, noise);
}
void AwkwardBackend::GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                                     Tensor& y) {
  RETORT_QUEUE(GatedActivation, activation, gate, up, y);
}
void AwkwardBackend::GatedActivationGrad(Activation activation, const Tensor& dy,
                                         const Tensor& gate, const Tensor& up, Tensor& dgate,
                                         Tensor& dup) {
  RETORT_QUEUE(GatedActivationGrad, activation, dy, gate, up, dgate, dup);
}
void AwkwardBackend::SoftCap(Tensor& x, float cap) { RETORT_QUEUE(SoftCap, x, cap); }
void AwkwardBackend::SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) {
  RETORT_QUEUE(SoftCapGrad, capped, cap, dx);
}

void AwkwardBackend::EmbedRows(const PreparedWeight& table, const Tensor& ids, Tensor& out) {
  RETORT_QUEUE(EmbedRows, table, ids, out);
}
void AwkwardBackend::GatherRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  RETORT_QUEUE(GatherRows, x, rows, out);
}
void AwkwardBackend::ScatterAddRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  RETORT_QUEUE(ScatterAddRows, x, rows, out);
}
void AwkwardBackend::PutRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  RETORT_QUEUE(PutRows, x, rows, out);
}
void AwkwardBackend::PutColumns(const Tensor& x, const Tensor& columns, Tensor& out) {
  RETORT_QUEUE(PutColumns, x, columns, out);
}
void AwkwardBackend::TakeColumns(Tensor& y, const Tensor& columns, Tensor& x) {
  RETORT_QUEUE(TakeColumns, y, columns, x);
}
void AwkwardBackend::CopyColumns(const Tensor& x, int64_t begin, Tensor& y) {
  RETORT_QUEUE(CopyColumns, x, begin, y);
}
void AwkwardBackend::AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) {
  RETORT_QUEUE(AddColumns, dy, begin, dx);
}
void AwkwardBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities,
                           Tensor& experts, Tensor& weights) {
  RETORT_QUEUE(Route, rule, logits, probabilities, experts, weights);
}
void AwkwardBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights,
                               const Tensor& probabilities, const Tensor& experts,
                               Tensor& dlogits) {
  RETORT_QUEUE(RouteGrad, rule, dweights, probabilities, experts, dlogits);
}
void AwkwardBackend::AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& rows,
                                     const Tensor& places, Tensor& out) {
  RETORT_QUEUE(AddWeightedRows, x, weights, rows, places, out);
}
void AwkwardBackend::WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                      const Tensor& rows, const Tensor& places, Tensor& dx,
                                      Tensor* dweights) {
  Queue(
      [](Backend& inner, auto&... each) {
        const auto call = [&](const Tensor& d, const Tensor& in, const Tensor& w, const Tensor& r,
                              const Tensor& p, Tensor& din, Tensor& dw) {
          inner.WeightedRowsGrad(d, in, w, r, p, din, dw ? &dw : nullptr);
        };
        call(each...);
      },
      dout, x, weights, rows, places, dx, dweights ? *dweights : Tensor());
}
void AwkwardBackend::StoreRows(const Tensor& x, const Tensor& rows, Tensor& pages) {
  RETORT_QUEUE(StoreRows, x, rows, pages);
}

void AwkwardBackend::RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                             Tensor& inv_rms) {
  RETORT_QUEUE(RmsNorm, x, gain, epsilon, y, inv_rms);
}
void AwkwardBackend::ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms,
                                   Tensor& y) {
  RETORT_QUEUE(ResizeColumns, x, size, norms, y);
}
void AwkwardBackend::ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                                       Tensor& dsize) {
  RETORT_QUEUE(ResizeColumnsGrad, dy, x, norms, dsize);
}
void AwkwardBackend::AdaptedNorms(const PreparedWeight& w, const Tensor& a, const Tensor& b,
                                  float scale, Tensor& norms) {
  RETORT_QUEUE(AdaptedNorms, w, a, b, scale, norms);
}
void AwkwardBackend::RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                                 const Tensor& inv_rms, Tensor& dx, Tensor* dgain) {
  Queue(
      [](Backend& inner, auto&... each) {
        const auto call = [&](const Tensor& y, const Tensor& a, const Tensor& g, const Tensor& r,
                              Tensor& da, Tensor& dg) {
          inner.RmsNormGrad(y, a, g, r, da, dg ? &dg : nullptr);
        };
        call(each...);
      },
      dy, x, gain, inv_rms, dx, dgain ? *dgain : Tensor());
}
void AwkwardBackend::CenterRows(const Tensor& x, bool accumulate, Tensor& y) {
  RETORT_QUEUE(CenterRows, x, accumulate, y);
}
void AwkwardBackend::RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude,
                                 Tensor& cos, Tensor& sin) {
  RETORT_QUEUE(RotaryTable, positions, inv_freq, amplitude, cos, sin);
}
void AwkwardBackend::Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                            bool inverse, Tensor& y, RotaryPairs pairs) {
  RETORT_QUEUE(Rotary, x, cos, sin, heads, inverse, y, pairs);
}

void AwkwardBackend::LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) {
  RETORT_QUEUE(LinearForward, x, w, y);
}
void AwkwardBackend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  auto weights = std::make_shared<std::vector<PreparedWeight>>();
  std::vector<LinearProduct> local;
  for (const LinearProduct& p : products) weights->push_back(Local(*p.w));
  for (size_t i = 0; i < products.size(); ++i) {
    local.push_back({&(*weights)[i], Local(products[i].y), Local(products[i].adapter)});
  }
  Enqueue([inner = inner_.get(), weights, local, in = Local(x)]() mutable {
    inner->LinearForwards(in, local);
  });
}
void AwkwardBackend::AddAdapter(const PreparedWeight& w, AdapterProduct& adapter, Tensor& y) {
  Enqueue([inner = inner_.get(), weight = Local(w), own = Local(adapter), to = Local(y)]() mutable {
    inner->AddAdapter(weight, own, to);
  });
}
void AwkwardBackend::FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                                 const PreparedWeight& up, const PreparedWeight& down, Tensor& y) {
  RETORT_QUEUE(FeedForward, activation, x, gate, up, down, y);
}
void AwkwardBackend::LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) {
  RETORT_QUEUE(LinearInputGrad, dy, w, dx);
}
void AwkwardBackend::LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) {
  auto weights = std::make_shared<std::vector<PreparedWeight>>();
  std::vector<LinearGradient> local;
  for (const LinearGradient& g : layers) weights->push_back(Local(*g.w));
  for (size_t i = 0; i < layers.size(); ++i) {
    const LinearGradient& g = layers[i];
    local.push_back({&(*weights)[i], Local(g.dy), Local(g.adapter), Local(g.da), Local(g.db),
                     Local(g.dropped)});
  }
  Enqueue([inner = inner_.get(), weights, local, add, out = dx ? Local(*dx) : Tensor()]() mutable {
    inner->LinearGrads(local, out ? &out : nullptr, add);
  });
}
void AwkwardBackend::Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                          const Tensor& b, float beta, Tensor& c) {
  RETORT_QUEUE(Gemm, transpose_a, transpose_b, alpha, a, b, beta, c);
}

void AwkwardBackend::Attention(const AttentionShape& shape, const AttentionPlan& plan,
                               const Tensor& q, const Tensor& keys, const Tensor& values,
                               Tensor& out, Tensor& log_sum) {
  Queue([](Backend& inner, const AttentionShape& s, const auto& own,
           auto&... each) { inner.Attention(s, *own, each...); },
        shape, plan, q, keys, values, out, log_sum);
}
void AwkwardBackend::AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan,
                                   const Tensor& dout, const Tensor& q, const Tensor& keys,
                                   const Tensor& values, const Tensor& out, const Tensor& log_sum,
                                   Tensor& dq, Tensor& dkeys, Tensor& dvalues) {
  Queue([](Backend& inner, const AttentionShape& s, const auto& own,
           auto&... each) { inner.AttentionGrad(s, *own, each...); },
        shape, plan, dout, q, keys, values, out, log_sum, dq, dkeys, dvalues);
}

void AwkwardBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                                  float smoothing, Tensor& losses) {
  RETORT_QUEUE(CrossEntropy, logits, targets, scales, smoothing, losses);
}
void AwkwardBackend::Distill(const DistillSettings& settings, const DistillTokens& tokens,
                             bool gradient, Tensor& logits, Tensor& teacher) {
  RETORT_QUEUE(Distill, settings, tokens, gradient, logits, teacher);
}
void AwkwardBackend::DistillTop(const DistillSettings& settings, const DistillTokens& tokens,
                                bool gradient, Tensor& logits, const TopOutcomes& teacher) {
  RETORT_QUEUE(DistillTop, settings, tokens, gradient, logits, teacher);
}
void AwkwardBackend::HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                                    float gradient_scale, Tensor& losses) {
  RETORT_QUEUE(HiddenDistance, y, target, kind, gradient_scale, losses);
}
void AwkwardBackend::AddSum(const Tensor& x, double factor, Tensor& sum) {
  RETORT_QUEUE(AddSum, x, factor, sum);
}

void AwkwardBackend::SumSquares(const Tensor& x, Tensor& sum) { RETORT_QUEUE(SumSquares, x, sum); }
void AwkwardBackend::ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) {
  RETORT_QUEUE(ClipFactor, sum_squares, limit, factor);
}
void AwkwardBackend::AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                           const Tensor& gradient, Tensor& m, Tensor& v) {
  RETORT_QUEUE(AdamW, step, factor, parameter, gradient, m, v);
}
void AwkwardBackend::AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                                const Tensor& gradient, ByteMoment& m, ByteMoment& v) {
  RETORT_QUEUE(AdamWBytes, step, factor, parameter, gradient, m, v);
}
void AwkwardBackend::Lion(const LionStep& step, const Tensor& factor, Tensor& parameter,
                          const Tensor& gradient, Tensor& m) {
  RETORT_QUEUE(Lion, step, factor, parameter, gradient, m);
}
void AwkwardBackend::Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter,
                         const Tensor& gradient, Tensor& velocity) {
  RETORT_QUEUE(Sgd, step, factor, parameter, gradient, velocity);
}
void AwkwardBackend::Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                               const Tensor& gradient, Tensor& rows, Tensor& columns) {
  RETORT_QUEUE(Adafactor, step, factor, parameter, gradient, rows, columns);
}

#undef RETORT_QUEUE

}  // namespace retort
