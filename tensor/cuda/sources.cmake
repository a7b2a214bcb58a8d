# The CUDA backend: sources of the host and kernels, without what tensor/cuda/language has for NVIDIA's tools.
set(RETORT_CUDA_SOURCES cuda_backend.cc cuda_memory.cc plan.cc unwritten_own.cc unwritten_h1.cc)
set(RETORT_CUDA_KERNELS
    activations.cu
    adafactor.cu
    attention.cu
    attention_decode.cu
    attention_grad.cu
    cross_entropy.cu
    distill.cu
    distill_sorted.cu
    distill_top.cu
    elementwise.cu
    experts.cu
    hidden_distance.cu
    norms.cu
    optimiser.cu
    optimiser_bytes.cu
    rotary.cu
    rows.cu)
