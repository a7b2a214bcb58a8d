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

# retort_room(NAME SOURCES a.cc b.cc [NOT_FUZZED pattern] [USES retort_base ...] [PRIVATE libraries and targets])
# makes the static library retort_NAME. USES reaches the room's users, PRIVATE does not. Builds of the fuzzers and of the
# readers leave out the sources that match the pattern: no target of theirs needs them, and kernels take most of the time to
# compile.
function(retort_room name)
  cmake_parse_arguments(room "" "NOT_FUZZED" "SOURCES;USES;PRIVATE" ${ARGN})
  if(RETORT_FUZZ AND room_NOT_FUZZED)
    list(FILTER room_SOURCES EXCLUDE REGEX ${room_NOT_FUZZED})
  endif()
  add_library(retort_${name} STATIC ${room_SOURCES})
  add_library(retort::${name} ALIAS retort_${name})
  target_link_libraries(retort_${name} PUBLIC retort_options ${room_USES} PRIVATE ${room_PRIVATE})
endfunction()

# retort_test(NAME SOURCES a_test.cc [USES rooms]) makes retort_NAME_test and registers each of its cases.
# They keep their secret (base/seal.h) in the build folder.
function(retort_test name)
  cmake_parse_arguments(test "" "" "SOURCES;USES" ${ARGN})
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
