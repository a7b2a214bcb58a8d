// SPDX-License-Identifier: Apache-2.0
// retort_datasets NAME FOLDER OUT: converts a public data set (datasets.h) into rows.
#include <cstdio>

#include "base/error.h"
#include "recipes/datasets/datasets.h"

int main(int argc, char** argv) {
  using namespace retort;            // NOLINT: a program
  using namespace retort::datasets;  // NOLINT
  if (argc != 4) {
    std::fputs("usage: retort_datasets banking77|clinc150|restaurant8k FOLDER OUT\n", stderr);
    return 2;
  }
  try {
    const Dataset dataset = ReadDataset(argv[1], argv[2]);
    WriteDataset(dataset, argv[3]);
    std::printf("%s: %zu rows to train on, %zu held out, %zu to test\n", argv[3],
                dataset.train.size(), dataset.eval.size(), dataset.test.size());
  } catch (const Error& error) {
    std::fprintf(stderr, "retort_datasets: %s\n", error.what());
    return error.kind() == Error::Kind::kInput ? 2 : 1;
  }
  return 0;
}
