# One CMake target a folder. RETORT_CUDA never reaches a source file: it only picks which folder's
# sources are listed.

add_library(retort_options INTERFACE)
target_compile_features(retort_options INTERFACE cxx_std_20)
target_compile_options(retort_options INTERFACE
                       $<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra>
                       $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>
                       # GCC 12 sees them where they are not
                       $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>
                       $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
                       $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers>
                       $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
target_include_directories(retort_options INTERFACE ${PROJECT_SOURCE_DIR})
set(RETORT_TEST_LEVEL -O1)
if(RETORT_SANITIZE)
  set(RETORT_TEST_LEVEL -O0)
  target_compile_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all
                         # Checks at every pointer double the time to compile; AddressSanitizer has most of them.
                         -fno-sanitize=null,alignment,object-size,vptr,pointer-overflow)
  target_link_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE})
endif()

# The sanitizers' presets compile several files at once (CMAKE_UNITY_BUILD), which halves their time. These
# have names in anonymous namespaces that their neighbours have too.
set(RETORT_COMPILED_ALONE
  autograd/ops/hidden_loss.cc bench/attention_bench.cc bench/tokenize_bench.cc cli/cmd_run.cc
  cli/cmd_train.cc compress/format_losses.cc formats/gguf_writer.cc
  runner/http/server.cc tensor/cpu/block_gemm_vectors.cc tensor/cpu/elementwise.cc tensor/cpu/panels.cc
  tensor/cpu/rows.cc tensor/memory.cc tests/formats/safetensors_broken_test.cc
  tests/formats/safetensors_test.cc tests/runner/engine/sampler_test.cc tests/runner/engine/token_loop_test.cc
  tests/support/awkward_backend.cc tests/support/norm_rotary_cases.cc tests/tensor/distill_top_test.cc
  tests/tensor/layer_faults_test.cc tests/tensor/linear_test.cc tests/tokenizer/sentencepiece_bpe_test.cc
  tests/tokenizer/word_ends_test.cc tests/train/objectives_test.cc tokenizer/load_tokenizer.cc
  tokenizer/sentencepiece_file.cc tokenizer/tokenizer_json.cc)
function(retort_compile_alone)
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    if(path IN_LIST RETORT_COMPILED_ALONE)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# retort_room(NAME SOURCES a.cc b.cc [NOT_FUZZED pattern] [USES retort_base ...] [PRIVATE libraries and targets])
# makes the static library retort_NAME. USES reaches the room's users, PRIVATE does not. Builds of the fuzzers and of the
# readers leave out the sources that match the pattern: no target of theirs needs them, and kernels take most of the time to
# compile.
function(retort_room name)
  cmake_parse_arguments(room "" "NOT_FUZZED" "SOURCES;USES;PRIVATE" ${ARGN})
  if(RETORT_FUZZ AND room_NOT_FUZZED)
    list(FILTER room_SOURCES EXCLUDE REGEX ${room_NOT_FUZZED})
  endif()
  retort_compile_alone(${room_SOURCES})
  add_library(retort_${name} STATIC ${room_SOURCES})
  add_library(retort::${name} ALIAS retort_${name})
  target_link_libraries(retort_${name} PUBLIC retort_options ${room_USES} PRIVATE ${room_PRIVATE})
endfunction()

# retort_test(NAME SOURCES a_test.cc [USES rooms]) makes retort_NAME_test and registers each of its cases.
# They keep their secret (base/seal.h) in the build folder.
function(retort_test name)
  cmake_parse_arguments(test "" "" "SOURCES;USES" ${ARGN})
  retort_compile_alone(${test_SOURCES})
  add_executable(retort_${name}_test ${test_SOURCES})
  target_link_libraries(retort_${name}_test PRIVATE ${test_USES} GTest::gtest GTest::gtest_main)
  target_compile_definitions(retort_${name}_test PRIVATE RETORT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(RETORT_SANITIZE)
    target_compile_definitions(retort_${name}_test PRIVATE RETORT_SANITIZED)
  endif()
  # Half the time to compile; what takes time to run is in the rooms.
  target_compile_options(retort_${name}_test PRIVATE ${RETORT_TEST_LEVEL})
  gtest_discover_tests(retort_${name}_test TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600 LABELS cases ENVIRONMENT "XDG_STATE_HOME=${PROJECT_BINARY_DIR}/tests/state")
endfunction()
