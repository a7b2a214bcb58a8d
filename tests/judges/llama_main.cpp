// SPDX-License-Identifier: Apache-2.0
// llama.cpp's library on whole texts, without the detour over JavaScript. Compiled and linked against it
// by greedy.py; no part of the build.
//
//   llama_main LIBRARIES ids MODEL.gguf < texts         a text a line; prints its ids, without BOS
//   llama_main LIBRARIES logits MODEL.gguf < texts      a text's ids a line; prints every logit, in hexadecimal
//   llama_main LIBRARIES loss MODEL.gguf < windows      a window of ids a line; prints the summed loss of the ids
//                                                       of each window's second half, and their number
//   llama_main LIBRARIES choices MODEL.gguf < texts     a text's ids a line; prints for each but the last the id with
//                                                       the largest logit behind it, and how far that is above the
//                                                       logit of the id that follows
#include <ggml-backend.h>
#include <llama.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Ids = std::vector<llama_token>;

struct Judge {
  Judge(const char* path, uint32_t window) {
    model = llama_model_load_from_file(path, llama_model_default_params());
    if (!model) std::exit(1);
    llama_context_params p = llama_context_default_params();
    p.n_ctx = p.n_batch = p.n_ubatch = window;
    p.n_seq_max = 1;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.type_k = p.type_v = GGML_TYPE_F32;  // an f16 cache alone moves logits by 1e-2
    // No more than this process may use, since llama.cpp's threads wait for each other busily.
    cpu_set_t cores;
    sched_getaffinity(0, sizeof cores, &cores);
    p.n_threads = p.n_threads_batch = std::min(2, CPU_COUNT(&cores));
    context = llama_init_from_model(model, p);
    if (!context) std::exit(1);
    vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
  }

  // The logits of ids[from], ids[from + 1], ... are kept.
  void Run(const Ids& ids, size_t from) const {
    llama_batch batch = llama_batch_init(static_cast<int32_t>(ids.size()), 0, 1);
    batch.n_tokens = static_cast<int32_t>(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      batch.token[i] = ids[i];
      batch.pos[i] = static_cast<llama_pos>(i);
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = i >= from;
    }
    if (llama_decode(context, batch) != 0) std::exit(1);
    llama_batch_free(batch);
  }
  void Forget() const { llama_memory_clear(llama_get_memory(context), true); }

  llama_model* model;
  llama_context* context;
  int vocab;
};

double Loss(const float* logits, int vocab, llama_token id) {
  const float most = *std::max_element(logits, logits + vocab);
  double sum = 0;
  for (int i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[i]) - most);
  return std::log(sum) + most - logits[id];
}

void PrintLoss(const Judge& judge, const std::vector<Ids>& windows) {
  double sum = 0;
  size_t count = 0;
  for (const Ids& ids : windows) {
    const size_t half = ids.size() / 2;
    judge.Forget();
    judge.Run(ids, half);
    for (size_t i = half; i + 1 < ids.size(); ++i, ++count)
      sum += Loss(llama_get_logits_ith(judge.context, static_cast<int32_t>(i)), judge.vocab,
                  ids[i + 1]);
  }
  std::printf("%.12g %zu\n", sum, count);
}

void PrintChoices(const Judge& judge, const std::vector<Ids>& texts) {
  for (const Ids& ids : texts) {
    judge.Forget();
    judge.Run(ids, 0);
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const float* logits = llama_get_logits_ith(judge.context, static_cast<int32_t>(i));
      const float* best = std::max_element(logits, logits + judge.vocab);
      std::printf("%d %.6g ", static_cast<int>(best - logits), *best - logits[ids[i + 1]]);
    }
    std::printf("\n");
  }
}

void PrintLogits(const Judge& judge, const std::vector<Ids>& texts) {
  for (const Ids& ids : texts) {
    judge.Forget();
    judge.Run(ids, 0);
    for (size_t i = 0; i < ids.size(); ++i) {
      const float* logits = llama_get_logits_ith(judge.context, static_cast<int32_t>(i));
      for (int v = 0; v < judge.vocab; ++v) std::printf("%a ", logits[v]);
    }
    std::printf("\n");
  }
}

std::vector<Ids> ReadLines() {
  std::vector<Ids> lines;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    Ids& ids = lines.emplace_back();
    for (llama_token id; words >> id;) ids.push_back(id);
  }
  return lines;
}

int PrintIds(const char* path) {
  llama_model_params p = llama_model_default_params();
  p.vocab_only = true;
  const llama_model* model = llama_model_load_from_file(path, p);
  if (!model) return 1;
  for (std::string line; std::getline(std::cin, line);) {
    Ids ids(line.size() + 16);
    const int count =
        llama_tokenize(llama_model_get_vocab(model), line.data(), static_cast<int32_t>(line.size()),
                       ids.data(), static_cast<int32_t>(ids.size()), false, false);
    if (count < 0) return 1;
    for (int i = 0; i < count; ++i) std::printf("%d ", ids[static_cast<size_t>(i)]);
    std::printf("\n");
  }
  return 0;
}

void OnlyErrors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  llama_log_set(OnlyErrors, nullptr);
  ggml_backend_load_all_from_path(argv[1]);
  const std::string mode = argv[2];
  if (mode == "ids") return PrintIds(argv[3]);
  const std::vector<Ids> lines = ReadLines();
  size_t longest = 0;
  for (const Ids& ids : lines) longest = std::max(longest, ids.size());
  const Judge judge(argv[3], static_cast<uint32_t>(longest));
  if (mode == "loss")
    PrintLoss(judge, lines);
  else if (mode == "logits")
    PrintLogits(judge, lines);
  else
    PrintChoices(judge, lines);
}
