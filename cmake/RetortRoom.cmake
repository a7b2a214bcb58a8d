# One CMake target a folder. RETORT_CUDA never reaches a source file: it only picks which folder's
# sources are listed.

add_library(retort_options INTERFACE)
target_compile_features(retort_options INTERFACE cxx_std_20)
target_compile_options(retort_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers
                       -Wno-maybe-uninitialized -Wno-restrict)  # GCC 12 sees them where they are not
target_include_directories(retort_options INTERFACE ${PROJECT_SOURCE_DIR})
if(RETORT_SANITIZE)
  target_compile_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(retort_options INTERFACE -fsanitize=${RETORT_SANITIZE})
endif()

# retort_room(NAME SOURCES a.cc b.cc [USES retort_base ...] [PRIVATE libraries and targets])
# makes the static library retort_NAME. USES reaches the room's users, PRIVATE does not.
function(retort_room name)
  cmake_parse_arguments(room "" "" "SOURCES;USES;PRIVATE" ${ARGN})
  add_library(retort_${name} STATIC ${room_SOURCES})
  add_library(retort::${name} ALIAS retort_${name})
  target_link_libraries(retort_${name} PUBLIC retort_options ${room_USES} PRIVATE ${room_PRIVATE})
endfunction()

# retort_test(NAME SOURCES a_test.cc [USES rooms]) makes retort_NAME_test and registers each of its cases.
function(retort_test name)
  cmake_parse_arguments(test "" "" "SOURCES;USES" ${ARGN})
  add_executable(retort_${name}_test ${test_SOURCES})
  target_link_libraries(retort_${name}_test PRIVATE ${test_USES} GTest::gtest GTest::gtest_main)
  target_compile_definitions(retort_${name}_test PRIVATE RETORT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(retort_${name}_test TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600)
endfunction()
