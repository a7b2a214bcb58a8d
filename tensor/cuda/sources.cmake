# The CUDA backend: sources of the host and kernels, without what tensor/cuda/language has for NVIDIA's tools.
set(RETORT_CUDA_SOURCES cuda_backend.cc cuda_memory.cc unwritten_own.cc unwritten_h1.cc unwritten_h2.cc unwritten_h3.cc)
set(RETORT_CUDA_KERNELS activations.cu adafactor.cu elementwise.cu experts.cu norms.cu optimiser.cu optimiser_bytes.cu rotary.cu
    rows.cu)
