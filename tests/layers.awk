# SPDX-License-Identifier: Apache-2.0
# The project's rules for C++ files, checked line by line. Run by tests/layers_test.sh.
# Prints "file:line: error" for every error, and exits with 1 if there is one. POSIX awk (Debian's is mawk).
# File names are relative to the root of the tree.

BEGIN {
  count = split("base tensor formats tokenizer template grammar autograd model data runner eval compress export " \
                "train recipes session bench cli", room)
  for (i = 1; i <= count; ++i) level[room[i]] = i
  level["tests"] = level["fuzz"] = count + 1  # above every room
  # The parts of a room that has parts, each a folder, lowest first.
  count = split("answer http engine api service program drift server", part)
  for (i = 1; i <= count; ++i) part_level["runner/" part[i]] = i

  # Third-party headers by their spelling, the library's name, and the folders that may use it
  # ("*" is every source file). The first match decides.
  Library("^nlohmann/json_fwd[.]hpp$", "nlohmann-json's declarations", "base")
  Library("^nlohmann/", "nlohmann-json", "*")
  Library("^(cblas|lapacke?|openblas)", "OpenBLAS", "tensor")
  Library("^(dnnl|oneapi/)", "oneDNN", "tensor")
  Library("^omp[.]h$", "OpenMP", "tensor")
  Library("^(cuda|cublas|cub/|curand|nccl|mma[.]h|device_)", "CUDA", "tensor/cuda")
  Library("^(hdf5|H5)", "HDF5", "formats")  # plain C and small: formats/ may wrap its handles in a header
  Library("^libdeflate[.]h$", "libdeflate", "formats")
  Library("^openssl/", "OpenSSL", "base runner tests")
  Library("^sentencepiece", "SentencePiece", "tokenizer")
  Library("^pcre2", "PCRE2", "tokenizer")
  Library("^utf8proc", "utf8proc", "tokenizer template")
  Library("^Eigen/", "Eigen", "model")
  Library("^boost/", "Boost", "runner")
  Library("^CLI/", "CLI11", "cli")
  Library("^(gtest|gmock)/", "GoogleTest", "tests")
  Library("^benchmark/", "Google Benchmark", "bench")

  # What needs no permission: the standard library has no dot and no slash in its names.
  platform = "^(sys|linux|netinet|arpa|sanitizer)/|^(cpuid|dirent|errno|fcntl|immintrin|malloc|netdb|poll|" \
             "pthread|pwd|sched|signal|spawn|termios|unistd)[.]h$|^[a-z_0-9]+$"
  forbidden = "(assert|abort|_?exit|_Exit|quick_exit|terminate|v?f?printf|f?puts|f?putc|putchar|" \
              "(secure_)?getenv|setenv|unsetenv|putenv)"
  word = "(^|[^A-Za-z0-9_])"
}

function Library(spelling, name, folders) {
  ++libraries
  library_spelling[libraries] = spelling
  library_name[libraries] = name
  library_folders[libraries] = folders
}

function Fault(line, text) {
  print file ":" line ": " text
  ++faults
}

# Whether the file is in one of the folders.
function Within(folders,    folder, count, i) {
  count = split(folders, folder)
  for (i = 1; i <= count; ++i)
    if (folder[i] == "*" || index(file, folder[i] "/") == 1) return 1
  return 0
}

# The code of a line: comments, texts and character literals cut out. `within` carries an open
# comment or raw string over to the next line.
function Code(line,    code, at, delimiter) {
  code = ""
  while (line != "") {
    if (within != "") {
      at = index(line, within)
      if (!at) return code
      line = substr(line, at + length(within))
      within = ""
    } else if (!match(line, /\/\/|\/\*|R"[^( ]*\(|"|'/)) {
      return code line
    } else {
      code = code substr(line, 1, RSTART - 1)
      at = substr(line, RSTART, RLENGTH)
      line = substr(line, RSTART)
      if (at == "//") return code
      if (at == "/*") {
        within = "*/"
        line = substr(line, 3)
      } else if (at ~ /^R/) {
        delimiter = substr(at, 3, length(at) - 3)
        within = ")" delimiter "\""
        line = substr(line, length(at) + 1)
      } else if (at == "'" && code ~ /[0-9A-Fa-f]$/) {  # a digit separator
        line = substr(line, 2)
      } else if (match(line, at == "'" ? "^'([^'\\\\]|\\\\.)*'" : "^\"([^\"\\\\]|\\\\.)*\"")) {
        code = code "\"\""
        line = substr(line, RLENGTH + 1)
      } else {
        return code
      }
    }
  }
  return code
}

# The first two folders of a path.
function PartOf(path,    folder) {
  split(path, folder, "/")
  return folder[1] "/" folder[2]
}

function CheckInclude(name, line,    target, i) {
  target = name
  sub("/.*", "", target)
  if (target in level && name ~ "/") {
    if (level[target] > level[own])
      Fault(line, own "/ includes \"" name "\", but " target "/ is above it")
    else if (PartOf(file) in part_level && part_level[PartOf(name)] > part_level[PartOf(file)])
      Fault(line, PartOf(file) "/ includes \"" name "\", but " PartOf(name) "/ is above it")
    return
  }
  for (i = 1; i <= libraries; ++i) {
    if (name !~ library_spelling[i]) continue
    if (!Within(library_folders[i]) && own != "tests" && own != "bench")
      Fault(line, library_name[i] " (" name ") belongs in " library_folders[i] "/ only")
    else if (header && library_folders[i] !~ "^(tests|bench|tensor/cuda)$" && name !~ "json_fwd|hdf5")
      Fault(line, library_name[i] " (" name ") in a header: include it in a source file")
    return
  }
  if (quoted) Fault(line, "\"" name "\" is not written from the root of the tree")
  else if (name !~ platform) Fault(line, "<" name "> is of no library that tests/layers.awk knows")
}

# A program's own file may print and exit; a library's may not.
function EndFile(    i) {
  if (file == "") return
  if (lines > 500) Fault(lines, "has " lines " lines; 500 is the most")
  if (header && !guarded) Fault(1, "a header without #pragma once")
  if (!program) for (i = 1; i <= calls; ++i) Fault(call_line[i], call_text[i])
}

function BeginFile() {
  EndFile()
  file = FILENAME
  sub("^[.]/", "", file)
  own = file
  sub("/.*", "", own)
  library = own != "cli" && own != "tests"
  header = file ~ /[.](h|cuh)$/
  within = ""
  guarded = program = calls = 0
  if ($0 != "// SPDX-License-Identifier: Apache-2.0")
    Fault(1, "the first line must be // SPDX-License-Identifier: Apache-2.0")
}

FNR == 1 { BeginFile() }

{
  lines = FNR
  if (within == "" && match($0, /^[ \t]*#[ \t]*include[ \t]*["<][^">]+[">]/)) {
    name = substr($0, RSTART, RLENGTH - 1)
    quoted = name ~ /"/
    sub(/^[^"<]*["<]/, "", name)
    CheckInclude(name, FNR)
    next
  }
  code = Code($0)
  if (code ~ /^[ \t]*#[ \t]*pragma[ \t]+once/) guarded = 1
  if (code ~ /^int main\(/) program = 1
  if (code ~ /^[ \t]*#[ \t]*(el)?if/ && code ~ /CUDA|HIP|GPU|DEVICE|AVX|BF16|FP16/)
    Fault(FNR, "a device or a precision is picked by the preprocessor; pick it by folder or at run time")
  if (code ~ /^[ \t]*#[ \t]*pragma[ \t]+omp/ && !Within("tensor"))
    Fault(FNR, "OpenMP belongs in tensor/ only")
  if (library && match(code, word forbidden "[ \t]*\\(")) {
    call = substr(code, RSTART, RLENGTH)
    gsub(/^[^A-Za-z0-9_]|[ \t]*\($/, "", call)
    if (call == "getenv" && file == "tensor/isa.cc") next  # RETORT_ISA, the tests' one switch
    if (call == "getenv" && file == "base/user_folder.cc") next  # where a user's files lie
    call_line[++calls] = FNR
    call_text[calls] = call "() in a library: throw an error, or leave it to cli/"
  } else if (library && code ~ (word "std::(cout|cerr|clog)")) {
    call_line[++calls] = FNR
    call_text[calls] = "a library does not print; leave it to cli/"
  }
}

END {
  EndFile()
  exit faults > 0
}
