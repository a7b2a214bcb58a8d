# Adds the CUDA backend to retort_tensor.
include(${CMAKE_CURRENT_LIST_DIR}/sources.cmake)
list(APPEND RETORT_CUDA_SOURCES language/blas.cc language/driver.cc language/make_backend.cc)
list(TRANSFORM RETORT_CUDA_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
list(TRANSFORM RETORT_CUDA_KERNELS PREPEND ${CMAKE_CURRENT_LIST_DIR}/)

set(RETORT_CUBLAS "" CACHE PATH "A folder with include/cublasLt.h and lib/libcublasLt.so.13, where the toolkit has none")
find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${RETORT_CUBLAS}/include ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(CUBLASLT_LIBRARY NAMES cublasLt libcublasLt.so.13
             HINTS ${RETORT_CUBLAS}/lib ${CUDAToolkit_LIBRARY_DIR} REQUIRED)

target_sources(retort_tensor PRIVATE ${RETORT_CUDA_SOURCES} ${RETORT_CUDA_KERNELS})
set_source_files_properties(${RETORT_CUDA_SOURCES} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
# Not CUDA_STANDARD: CMake 3.25 does not know that nvcc has C++20.
target_compile_options(retort_tensor PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>)
target_include_directories(retort_tensor SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUBLASLT_INCLUDE_DIR})
target_link_libraries(retort_tensor PRIVATE ${CUBLASLT_LIBRARY} CUDA::cudart_static)
