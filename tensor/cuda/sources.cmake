# The CUDA backend: sources of the host and kernels, without what tensor/cuda/language has for NVIDIA's tools.
set(RETORT_CUDA_SOURCES cuda_backend.cc cuda_memory.cc prepare.cc unwritten_own.cc unwritten_h1.cc unwritten_h2.cc)
set(RETORT_CUDA_KERNELS
    activations.cu
    cross_entropy.cu
    decode.cu
    distill.cu
    distill_sorted.cu
    distill_top.cu
    elementwise.cu
    hidden_distance.cu)
