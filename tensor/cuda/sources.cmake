# The CUDA backend: sources of the host and kernels, without what tensor/cuda/language has for NVIDIA's tools.
set(RETORT_CUDA_SOURCES cuda_backend.cc cuda_memory.cc plan.cc unwritten_own.cc unwritten_h1.cc unwritten_h3.cc)
set(RETORT_CUDA_KERNELS activations.cu attention.cu attention_decode.cu attention_grad.cu attention_mma.cu attention_mma_grad.cu elementwise.cu)
