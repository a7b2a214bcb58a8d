#include "tensor/cuda/cuda_backend.h"
namespace retort::cuda {
void CudaBackend::GatherRows(const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "GatherRows is not written");
}
void CudaBackend::ScatterAddRows(const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "ScatterAddRows is not written");
}
void CudaBackend::PutRows(const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "PutRows is not written");
}
void CudaBackend::PutColumns(const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "PutColumns is not written");
}
void CudaBackend::TakeColumns(Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "TakeColumns is not written");
}
void CudaBackend::CopyColumns(const Tensor&, int64_t, Tensor&) {
  RETORT_CHECK(false, "CopyColumns is not written");
}
void CudaBackend::AddColumns(const Tensor&, int64_t, Tensor&) {
  RETORT_CHECK(false, "AddColumns is not written");
}
void CudaBackend::StoreRows(const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "StoreRows is not written");
}
void CudaBackend::Route(const RouteRule&, const Tensor&, Tensor&, Tensor&, Tensor&) {
  RETORT_CHECK(false, "Route is not written");
}
void CudaBackend::RouteGrad(const RouteRule&, const Tensor&, const Tensor&, const Tensor&,
                            Tensor&) {
  RETORT_CHECK(false, "RouteGrad is not written");
}
void CudaBackend::AddWeightedRows(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                  Tensor&) {
  RETORT_CHECK(false, "AddWeightedRows is not written");
}
void CudaBackend::WeightedRowsGrad(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                   const Tensor&, Tensor&, Tensor*) {
  RETORT_CHECK(false, "WeightedRowsGrad is not written");
}
void CudaBackend::RmsNorm(const Tensor&, const Tensor&, float, Tensor&, Tensor&) {
  RETORT_CHECK(false, "RmsNorm is not written");
}
void CudaBackend::RmsNormGrad(const Tensor&, const Tensor&, const Tensor&, const Tensor&, Tensor&,
                              Tensor*) {
  RETORT_CHECK(false, "RmsNormGrad is not written");
}
void CudaBackend::CenterRows(const Tensor&, bool, Tensor&) {
  RETORT_CHECK(false, "CenterRows is not written");
}
void CudaBackend::ResizeColumns(const Tensor&, const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "ResizeColumns is not written");
}
void CudaBackend::ResizeColumnsGrad(const Tensor&, const Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "ResizeColumnsGrad is not written");
}
void CudaBackend::RotaryTable(const Tensor&, const Tensor&, double, Tensor&, Tensor&) {
  RETORT_CHECK(false, "RotaryTable is not written");
}
void CudaBackend::Rotary(const Tensor&, const Tensor&, const Tensor&, int, bool, Tensor&,
                         RotaryPairs) {
  RETORT_CHECK(false, "Rotary is not written");
}
void CudaBackend::SumSquares(const Tensor&, Tensor&) {
  RETORT_CHECK(false, "SumSquares is not written");
}
void CudaBackend::ClipFactor(const Tensor&, double, Tensor&) {
  RETORT_CHECK(false, "ClipFactor is not written");
}
void CudaBackend::AdamW(const AdamWStep&, const Tensor&, Tensor&, const Tensor&, Tensor&, Tensor&) {
  RETORT_CHECK(false, "AdamW is not written");
}
void CudaBackend::AdamWBytes(const AdamWStep&, const Tensor&, Tensor&, const Tensor&, ByteMoment&,
                             ByteMoment&) {
  RETORT_CHECK(false, "AdamWBytes is not written");
}
void CudaBackend::Lion(const LionStep&, const Tensor&, Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "Lion is not written");
}
void CudaBackend::Sgd(const SgdStep&, const Tensor&, Tensor&, const Tensor&, Tensor&) {
  RETORT_CHECK(false, "Sgd is not written");
}
void CudaBackend::Adafactor(const AdafactorStep&, const Tensor&, Tensor&, const Tensor&, Tensor&,
                            Tensor&) {
  RETORT_CHECK(false, "Adafactor is not written");
}
}  // namespace retort::cuda
