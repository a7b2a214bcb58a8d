// SPDX-License-Identifier: Apache-2.0
// Whole runs with a teacher: settings that must not change the result, inputs that do not fit and
// must be rejected, and the memory used. (tests/judges compares the values of losses with PyTorch.)
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/file_lock.h"
#include "data/model_tokenizer.h"
#include "model/load.h"
#include "model/store/folders.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"
#include "session/teaching.h"
#include "tests/support/model_folder.h"
#include "tests/support/random_model.h"
#include "train/metrics.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/on_policy.h"

namespace retort {
namespace {

Path Folder() { return Path(::testing::TempDir()) / Cat("retort_distillation_test_", ::getpid()); }

std::string RowsText(int changed = -1) {
  std::string rows;
  RandomStream random(MakeKey(3, RandomUse::kData));
  for (int i = 0; i < 24; ++i) {
    std::string digits;
    for (uint64_t n = 2 + random.Below(9); n > 0; --n)
      digits += static_cast<char>('0' + random.Below(10));
    if (i == changed) digits += "!";
    rows += DumpJson(Json{{"prompt", "say " + digits}, {"completion", " " + digits}}) + "\n";
  }
  return rows;
}

class DistillationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::filesystem::remove_all(Folder());
    std::filesystem::create_directories(Folder());
    DenseConfig small = FolderConfig("llama"), large = small;
    MakeModelFolder(Folder() / "student", small, {.seed = 1});
    large.layers = 3, large.width = 96, large.head_dim = 24, large.ffn = 128;
    MakeModelFolder(Folder() / "teacher", large, {.seed = 2});
    MakeModelFolder(Folder() / "teacher2", large, {.seed = 3});
    large.vocab = 320;  // rows of padding that no token has
    MakeModelFolder(Folder() / "padded", large, {.seed = 2});
    CopyTokenizerFiles(Folder() / "student", Folder() / "padded");
    MakeModelFolder(Folder() / "foreign", large, {.seed = 2});  // 20 pieces more
    WriteTextAtomically(Folder() / "rows.jsonl", RowsText());
    came_from = std::filesystem::current_path();
    std::filesystem::current_path(Folder());  // what --set's paths are relative to
  }
  static void TearDownTestSuite() {
    std::filesystem::current_path(came_from);
    std::filesystem::remove_all(Folder());
  }
  static inline Path came_from;

  static Recipe RecipeOf(const std::vector<std::string>& settings) {
    return ParseRecipe(R"({"name": "r", "model": {"path": "student", "weights": "f32"},
        "adapter": {"rank": 4, "alpha": 8},
        "data": {"train": "rows.jsonl", "max_tokens": 64, "packing": false},
        "teacher": {"path": "teacher", "weights": "f32", "top_k": 300},
        "train": {"steps": 6, "batch_rows": 4, "lr": 1e-2, "warmup": 0, "checkpoint_every": 2, "threads": 1}})",
                       "recipe", Folder(), settings);
  }
  static std::vector<StepMetrics> Run(const std::string& name,
                                      const std::vector<std::string>& settings,
                                      int64_t stop_after = 0) {
    const Recipe recipe = RecipeOf(settings);
    const Path run = Folder() / name;
    PrepareRunFolder(run, true, DumpJson(ResolvedJson(recipe), 2),
                     [](const std::string&) { return std::vector<std::string>(); });
    TrainingSession session(recipe);
    struct Stopped {};
    try {
      session.Run(run, [&](const RunProgress& p) {
        if (p.metrics.step == stop_after) throw Stopped();
      });
    } catch (const Stopped&) {
    }
    std::vector<StepMetrics> out;
    for (const MetricsLine& line : ReadMetrics(run / "metrics.jsonl")) out.push_back(line.metrics);
    return out;
  }
  static void Teach(const std::vector<std::string>& settings) {
    TeachingSession(RecipeOf(settings), TeachingSession::Work::kCache).Cache({});
  }
  static std::string AdapterHash(const std::string& name) {
    return Sha256(
        MappedFile::Open(Folder() / name / "adapter" / "adapter_model.safetensors")->bytes());
  }
  // What the call is refused with.
  template <class Call>
  static std::string Refusal(const Call& call) {
    try {
      call();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "";
  }
};

void ExpectNear(const std::vector<StepMetrics>& a, const std::vector<StepMetrics>& b,
                double relative) {
  ASSERT_EQ(a.size(), b.size());
  ASSERT_FALSE(a.empty());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i].kd, b[i].kd, relative * b[i].kd) << "step " << i + 1;
    EXPECT_NEAR(a[i].loss, b[i].loss, relative * b[i].loss) << "step " << i + 1;
  }
}

TEST_F(DistillationTest, LossIsTheMixtureOfItsParts) {
  for (const auto& m : Run("parts", {"teacher.weight=0.3", "teacher.temperature=2"})) {
    EXPECT_GT(m.kd, 0.1);
    EXPECT_NEAR(m.loss, 0.7 * m.ce + 0.3 * m.kd, 1e-6 * m.loss);
  }
  const auto scaled =
      Run("scaled", {"teacher.weight=0.3", "teacher.temperature=2", "teacher.scale_t2=true"});
  EXPECT_NEAR(scaled[0].loss, 0.7 * scaled[0].ce + 4 * 0.3 * scaled[0].kd, 1e-6 * scaled[0].loss);
}

// All of the vocabulary kept: what differs is f16 rounding of the stored log-probabilities, 2^-11
// of themselves.
TEST_F(DistillationTest, CacheOfTheWholeVocabularyEqualsOnline) {
  Teach({"teacher.cache=cache"});
  for (const char* divergence : {"forward_kl", "reverse_kl", "jsd", "total_variation"}) {
    const std::string set = Cat("teacher.divergence=", divergence);
    SCOPED_TRACE(set);
    const auto online = Run(Cat("online_", divergence), {set});
    const auto cached =
        Run(Cat("cached_", divergence), {set, "teacher.cache=cache", "teacher.mode=cached"});
    ExpectNear(cached, online, 1e-3);
  }
  // Another temperature needs no other cache then.
  const std::string hot = "teacher.temperature=2";
  ExpectNear(Run("cached_hot", {hot, "teacher.cache=cache", "teacher.mode=cached"}),
             Run("online_hot", {hot}), 1e-3);
}

TEST_F(DistillationTest, CacheOfAFewOutcomesIsNearToOnlineAndTellsLess) {
  Teach({"teacher.cache=top", "teacher.top_k=64"});
  const auto online = Run("few_online", {});
  const auto cached =
      Run("few_cached", {"teacher.cache=top", "teacher.mode=cached", "teacher.top_k=64"});
  // Outcomes thrown together can only bring two distributions closer (the data processing
  // inequality).
  EXPECT_LT(cached[0].kd, online[0].kd);
  EXPECT_GT(cached[0].kd, 0.3 * online[0].kd);
}

TEST_F(DistillationTest, RefusesACacheOfOtherThings) {
  Teach({"teacher.cache=strict", "teacher.top_k=16"});
  const std::vector<std::string> settings = {"teacher.cache=strict", "teacher.mode=cached",
                                             "teacher.top_k=16"};
  const auto refusal = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = settings;
    all.insert(all.end(), more.begin(), more.end());
    return Refusal([&] { TrainingSession session(RecipeOf(all)); });
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({"teacher.path=null"}), "");
  EXPECT_NE(refusal({"teacher.path=teacher2"}).find("the cache is of teacher"), std::string::npos);
  EXPECT_NE(refusal({"teacher.temperature=2"}).find("temperature"), std::string::npos);
  EXPECT_NE(refusal({"teacher.top_k=17"}).find("top_k"), std::string::npos);
  WriteTextAtomically(Folder() / "changed.jsonl", RowsText(7));
  EXPECT_NE(refusal({"data.train=changed.jsonl"}).find("changed.jsonl:8"), std::string::npos);
  // Another template and another tokenizer change the ids themselves; the key says so first.
  std::filesystem::copy(Folder() / "student", Folder() / "renamed");
  std::string tokenizer = ReadText(Folder() / "renamed" / "tokenizer.json");
  const size_t at = tokenizer.find("\"!\"");
  ASSERT_NE(at, std::string::npos);
  tokenizer.replace(at, 3, "\"\xC4\xA0!\"");
  WriteTextAtomically(Folder() / "renamed" / "tokenizer.json", tokenizer);
  EXPECT_NE(refusal({"model.path=renamed"}), "");
}

TEST_F(DistillationTest, RefusesAChatTemplateThatTheCacheWasNotMadeWith) {
  std::string rows;
  for (int i = 0; i < 6; ++i) {
    rows += DumpJson(Json{{"messages",
                           {{{"role", "user"}, {"content", Cat("say ", i)}},
                            {{"role", "assistant"}, {"content", Cat(i)}}}}}) +
            "\n";
  }
  WriteTextAtomically(Folder() / "chat.jsonl", rows);
  const std::vector<std::string> settings = {"data.train=chat.jsonl", "data.template=llama2",
                                             "teacher.cache=chat", "teacher.top_k=16"};
  Teach(settings);
  auto cached = settings;
  cached.push_back("teacher.mode=cached");
  EXPECT_EQ(Refusal([&] { TrainingSession session(RecipeOf(cached)); }), "");
  cached.push_back("data.template=mistral");
  EXPECT_NE(Refusal([&] { TrainingSession session(RecipeOf(cached)); }).find("template"),
            std::string::npos);
}

TEST_F(DistillationTest, PaddedVocabulariesAgreeAndForeignOnesAreRefused) {
  const auto padded = Run("padded-run", {"teacher.path=padded"});  // padded/ is the teacher
  EXPECT_GT(padded[0].kd, 0.1);
  const std::string refusal =
      Refusal([&] { TrainingSession session(RecipeOf({"teacher.path=foreign"})); });
  EXPECT_NE(refusal.find("tokenizer"), std::string::npos) << refusal;
  EXPECT_NE(refusal.find("sorted"), std::string::npos) << refusal;
  const auto sorted = Run("sorted", {"teacher.path=foreign", "teacher.divergence=sorted",
                                     "teacher.weight=1", "train.steps=30"});
  EXPECT_LT(sorted.back().kd, sorted.front().kd);
}

// The padding of a larger head has no part in the divergence: the same teacher with its padding cut
// off gives the same loss.
TEST_F(DistillationTest, PaddingIsNoOutcome) {
  const auto backend = MakeReferenceBackend();
  std::vector<double> values(40);
  RandomStream random(MakeKey(1, RandomUse::kData));
  for (double& v : values) v = 2 * random.Normal();
  std::vector<double> cut(values.begin(), values.begin() + 17);
  const Tensor targets = backend->Upload(std::vector<int32_t>{3});
  const Tensor one = backend->Upload(std::vector<float>{1});
  std::vector<double> kd;
  for (const int64_t vocab : {17, 23}) {
    Tensor z = backend->FromDoubles(std::vector<double>(17, 0.5), {1, 17});
    Tensor t =
        backend->FromDoubles(std::span(values).first(static_cast<size_t>(vocab)), {1, vocab});
    const DistillTokens tokens{targets,
                               one,
                               one,
                               1,
                               backend->New({1}, DType::kF64),
                               backend->New({1}, DType::kF64),
                               backend->New({1}, DType::kF64)};
    backend->Distill({Divergence::kJsd, 0.5f, 1}, tokens, true, z, t);
    kd.push_back(backend->ToDoubles(tokens.kd)[0]);
  }
  EXPECT_EQ(kd[0], kd[1]);
}

// The same base with its adapter as the student: one copy of the weights, and no distance while B
// is 0.
TEST_F(DistillationTest, SharesTheStudentsBase) {
  const std::vector<std::string> self = {"teacher.path=student", "teacher.weight=0.5"};
  const auto metrics = Run("self", self);
  EXPECT_NEAR(metrics[0].kd, 0, 1e-6);
  EXPECT_GT(metrics.back().kd, 1e-6);
  const auto weights = [&](const std::vector<std::string>& settings) {
    const TrainingSession session(RecipeOf(settings));
    return Join(session.Describe(), "\n");
  };
  EXPECT_NE(weights(self).find("the student's own base"), std::string::npos);
  EXPECT_EQ(weights({}).find("the student's own base"), std::string::npos);
}

TEST_F(DistillationTest, GivesTheSameBytesAtAnyNumberOfThreadsAndAfterAResume) {
  const std::vector<std::vector<std::string>> kinds = {
      {},
      {"teacher.hidden=cosine", "teacher.hidden_layers=all"},
      {"teacher.mode=on-policy", "teacher.lambda=0.5", "teacher.max_new_tokens=8"}};
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(i);
    const auto with = [&](const std::string& more) {
      std::vector<std::string> all = kinds[i];
      all.push_back(more);
      return all;
    };
    Run(Cat("straight", i), kinds[i]);
    Run(Cat("threads", i), with("train.threads=3"));
    Run(Cat("stopped", i), kinds[i], 3);
    const auto resumed = Run(Cat("stopped", i), kinds[i]);
    EXPECT_EQ(resumed.size(), 6u);
    EXPECT_EQ(AdapterHash(Cat("straight", i)), AdapterHash(Cat("threads", i)));
    EXPECT_EQ(AdapterHash(Cat("straight", i)), AdapterHash(Cat("stopped", i)));
  }
}

TEST_F(DistillationTest, OnPolicyTrainsOnTheStudentsOwnAnswers) {
  const std::vector<std::string> all = {"teacher.mode=on-policy", "teacher.weight=1",
                                        "teacher.max_new_tokens=8"};
  const auto metrics = Run("on_policy", all);
  EXPECT_GT(metrics[0].generated_tokens, 0);
  EXPECT_EQ(metrics[0].generated_tokens, metrics[0].loss_tokens);
  EXPECT_GT(metrics[0].generation_seconds, 0);
  EXPECT_LT(metrics[0].generation_seconds, metrics[0].seconds);
  const std::string line = ReadText(Folder() / "on_policy" / "metrics.jsonl");
  EXPECT_NE(line.find("generation_share"), std::string::npos);
  auto none = all;
  none.push_back("teacher.lambda=0");
  EXPECT_EQ(Run("off_policy", none)[0].generated_tokens, 0);
}

// The student's answer to a rejected row's prompt still belongs to that of the chosen row.
TEST_F(DistillationTest, AnswersInPlaceOfRowsStayInTheirGroups) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles files = OpenModel(Folder() / "student");
  const auto model = LoadModel(files, {}, *backend);
  const auto tokenizer = LoadTokenizer(files);
  OnPolicyDistillation objective(std::make_unique<CrossEntropyObjective>(), *model, nullptr,
                                 *tokenizer, {.sampling = {.max_new_tokens = 4, .max_tokens = 64}});
  const Example chosen{0, {5, 6, 7}, {kNoLoss, kNoLoss, 7}};
  Example rejected{1, {5, 6, 8}, {kNoLoss, kNoLoss, 8}};
  rejected.joined = true;
  StepBatch step;
  step.micro.push_back({{&chosen, &rejected, &chosen}, {0, 1, 2}, 9, 3});
  EXPECT_GT(objective.Prepare(step, 1), 0);
  for (const Example* row : step.micro[0].rows) EXPECT_TRUE(row->generated);
  const auto groups = GroupsOf(step.micro[0]);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].end, 2u);
}

TEST_F(DistillationTest, HiddenStatesDrawNearer) {
  const auto metrics = Run("hidden", {"teacher.hidden=mse", "teacher.hidden_weight=1",
                                      "teacher.weight=0.5", "train.steps=30"});
  EXPECT_LT(metrics.back().hidden, 0.8 * metrics.front().hidden);
  EXPECT_NEAR(metrics[0].loss, 0.5 * metrics[0].ce + 0.5 * metrics[0].kd + metrics[0].hidden,
              1e-6 * metrics[0].loss);
}

TEST_F(DistillationTest, GeneratesAnswersAndGoesOnWhereItStopped) {
  const Recipe recipe = RecipeOf({"teacher.max_new_tokens=6"});
  const Path whole = Folder() / "whole.jsonl", broken = Folder() / "broken.jsonl";
  const auto all = TeachingSession(recipe, TeachingSession::Work::kAnswers).Generate(whole, 0, {});
  EXPECT_EQ(all.kept, 0);
  const std::string text = ReadText(whole);
  EXPECT_EQ(std::ranges::count(text, '\n'), 24);
  // Five lines and half of the sixth.
  size_t end = 0;
  for (int i = 0; i < 5; ++i) end = text.find('\n', end) + 1;
  WriteTextAtomically(broken, text.substr(0, end + 9));
  const auto rest =
      TeachingSession(recipe, TeachingSession::Work::kAnswers).Generate(broken, 0, {});
  EXPECT_EQ(rest.kept, 5);
  EXPECT_EQ(ReadText(broken), text);
  {
    const FileLock lock(Folder() / ".broken.jsonl.lock", "held");
    EXPECT_NE(Refusal([&] {
                TeachingSession(recipe, TeachingSession::Work::kAnswers).Generate(broken, 0, {});
              }).find("broken.jsonl: process "),
              std::string::npos);
  }
  WriteTextAtomically(broken, "{\"prompt\": \"another\", \"completion\": \"x\"}\n");
  EXPECT_NE(Refusal([&] {
              TeachingSession(recipe, TeachingSession::Work::kAnswers).Generate(broken, 0, {});
            }).find("broken.jsonl:1"),
            std::string::npos);
}

// The rows that a teacher is for.
TEST_F(DistillationTest, GeneratesAnswersToPromptsAlone) {
  WriteTextAtomically(Folder() / "prompts.jsonl",
                      "{\"prompt\": \"say 1\"}\n{\"prompt\": \"say 2\"}\n");
  WriteTextAtomically(Folder() / "answered.jsonl",
                      "{\"prompt\": \"say 1\", \"completion\": \"x\"}\n"
                      "{\"prompt\": \"say 2\", \"completion\": \"y\"}\n");
  std::string said[2];
  for (const auto& [rows, out] :
       {std::pair{"prompts.jsonl", &said[0]}, {"answered.jsonl", &said[1]}}) {
    TeachingSession session(RecipeOf({Cat("data.train=", rows), "teacher.max_new_tokens=6"}),
                            TeachingSession::Work::kAnswers);
    EXPECT_EQ(session.Describe().at(1), "data     2 prompts");
    std::filesystem::remove(Folder() / "said.jsonl");
    session.Generate(Folder() / "said.jsonl", 0, {});
    *out = ReadText(Folder() / "said.jsonl");
  }
  EXPECT_EQ(said[0], said[1]);
}

TEST_F(DistillationTest, TextsHaveNoPromptForOnPolicyAndRewards) {
  WriteTextAtomically(Folder() / "texts.jsonl", "{\"text\": \"say 1\"}\n");
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{"teacher.mode=on-policy"},
        {"teacher.path=null", "teacher.weights=null", "teacher.top_k=null", "reward.regex=x"}}) {
    std::vector<std::string> all = settings;
    all.emplace_back("data.train=texts.jsonl");
    EXPECT_NE(Refusal([&] {
                TrainingSession(RecipeOf(all));
              }).find("texts.jsonl: rows of format text have no prompt"),
              std::string::npos);
  }
}

// What the loss of both models adds to the memory of a step of 4,096 tokens over 152k ids: heads of
// Qwen2's sizes, 151,936 and 152,064, in models of these widths; over the parts that the trainer
// would compute at once.
int64_t BytesOfLosses(int64_t student_width, int64_t teacher_width, int64_t part_tokens) {
  const auto backend = MakeCpuBackend(2, CpuHasBf16() ? Compute::kBF16 : Compute::kF32);
  DenseConfig student = SmallConfig(151936), teacher = SmallConfig(152064);
  student.width = student_width, teacher.width = teacher_width;
  student.tied = teacher.tied = true;
  const auto small = RandomModel(student, 1, *backend), large = RandomModel(teacher, 2, *backend);
  Example row;
  row.ids.assign(1025, 5);
  row.labels.assign(1025, 7);
  MicroBatch micro{{&row, &row, &row, &row}, {0, 1, 2, 3}, 4100, 4096};
  const auto peak_over_hidden = [&](const MicroBatch& part) {
    const LabelledBatch data = MakeLabelledBatch(part);
    const ForwardPass pass{data.batch};
    OnlineDistillation online(*large, nullptr, *small, {});
    backend->memory().ResetPeak();
    Tape tape(*backend);
    Context context{*backend, &tape};
    Tensor trained = small->Hidden(context, pass).value;
    Gradient gradient;
    const Var hidden{trained, &gradient};
    const int64_t before = backend->memory().live_bytes();
    backend->memory().ResetPeak();
    const ops::DistillSums sums{backend->Upload(std::vector<double>{0}),
                                backend->Upload(std::vector<double>{0})};
    const ops::LogitsLoss loss = online.LossOf(part, data, 1.0f / 4096, sums);
    const Tensor losses = small->Losses(context, nullptr, hidden, backend->Upload(data.rows), loss);
    EXPECT_EQ(losses.elements(), part.loss_tokens);
    EXPECT_GT(backend->ToDoubles(sums.kd)[0], 0);
    return backend->memory().peak_bytes() - before;
  };
  int64_t added = 0, tokens = 0;
  for (const MicroBatch& part : CutMicroBatch(micro, part_tokens)) {
    added = std::max(added, peak_over_hidden(part));
    tokens += part.loss_tokens;
  }
  EXPECT_EQ(tokens, 4096);
  std::cout << "the losses add " << (added >> 20) << " MiB\n";
  return added;
}

TEST(DistillationMemory, LossesOfTwoLargeHeadsStayWithin256MiB) {
#ifdef RETORT_SANITIZED
  GTEST_SKIP() << "a bound on counted memory, which takes minutes here; smaller tests run its code";
#endif
  const int64_t added = BytesOfLosses(256, 512, 4100);
  EXPECT_GT(added, int64_t{16} << 20);
  EXPECT_LT(added, int64_t{256} << 20);
}

// The same at the widths of a 1B student and an 8B teacher, a row at a time as the trainer does it:
// three minutes and 4 GB, so only when asked for, with --gtest_also_run_disabled_tests.
TEST(DistillationMemory, DISABLED_LossesAtRealWidthsStayWithin256MiB) {
  EXPECT_LT(BytesOfLosses(2048, 4096, TrainerOptions().part_tokens), int64_t{256} << 20);
}

}  // namespace
}  // namespace retort
