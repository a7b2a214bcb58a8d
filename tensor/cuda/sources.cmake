# The CUDA backend: sources of the host and kernels, without what tensor/cuda/language has for NVIDIA's tools.
set(RETORT_CUDA_SOURCES cuda_backend.cc cuda_memory.cc plan.cc prepare.cc staging.cc)
set(RETORT_CUDA_KERNELS
    activations.cu
    adafactor.cu
    attention.cu
    attention_decode.cu
    attention_grad.cu
    attention_mma.cu
    attention_mma_grad.cu
    cross_entropy.cu
    decode.cu
    distill.cu
    distill_sorted.cu
    distill_top.cu
    elementwise.cu
    experts.cu
    few_rows.cu
    hidden_distance.cu
    norms.cu
    optimiser.cu
    optimiser_bytes.cu
    products.cu
    rotary.cu
    rows.cu)
