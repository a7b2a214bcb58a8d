// SPDX-License-Identifier: Apache-2.0
#include "session/teaching.h"

#include <algorithm>

#include "base/error.h"
#include "model/store/chat_files.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"

namespace retort {
namespace {

constexpr int64_t kTeacherTokens = 4096;  // per forward pass of the teacher

std::string HashOf(const TokenizerSpec& spec) {
  std::string text = Cat(static_cast<int>(spec.kind), " ", spec.pre, " ", spec.add_bos, "\n");
  for (const auto& piece : spec.pieces) text += Cat(piece.text, "\n");
  for (const std::string& merge : spec.merges) text += Cat(merge, "\n");
  return Sha256(text);
}

std::string HashOf(const ChatTemplate& chat) {
  // The line between was a default system prompt, in caches of older versions.
  return Sha256(Cat(chat.name(), "\n\n", chat.Jinja()));
}

WhereExample Namer(const RecipeData& data) {
  return [&data](int64_t example) { return WhereOf(data, data.train.examples[example]); };
}

// A cache made by an older version says the teacher's older fingerprint; its rows are as good.
void KeepOldFingerprint(const Recipe& recipe, const ModelFiles& teacher, const std::string& held,
                        TeacherCacheKey& want) {
  const std::string old = Sha256(Cat(OldFingerprint(teacher), " ", recipe.teacher.weights));
  if (held == old) want.fingerprint = old;
}

}  // namespace

TeacherCacheKey CacheKeyOf(const Recipe& recipe, const RecipeData& data, int64_t student_vocab,
                           const TeacherModel* teacher) {
  const TeacherRecipe& t = recipe.teacher;
  TeacherCacheKey key;
  key.tokenizer_hash = HashOf(data.tokenizer->spec());
  if (data.chat) key.template_hash = HashOf(*data.chat);
  key.vocab = student_vocab;
  key.temperature = t.temperature;
  key.top_k = t.top_k;
  if (!teacher) return key;
  key.teacher = t.path.string();
  key.fingerprint = Sha256(
      Cat(Fingerprint(teacher->files, static_cast<int>(recipe.train.threads)), " ", t.weights));
  if (!t.adapter.empty()) {
    key.adapter_fingerprint = Sha256OfFile(t.adapter / "adapter_model.safetensors");
  }
  key.vocab = std::min(student_vocab, teacher->files.config.vocab);
  key.top_k = std::min(key.top_k, key.vocab);
  return key;
}

std::unique_ptr<TeacherCacheReader> OpenTeacherCache(const Recipe& recipe, const RecipeData& data,
                                                     const ModelFiles& student) {
  auto reader = std::make_unique<TeacherCacheReader>(recipe.teacher.cache);
  const TeacherCacheKey& held = reader->summary().key;
  TeacherCacheKey want;
  if (recipe.teacher.path.empty()) {
    want = CacheKeyOf(recipe, data, student.config.vocab, nullptr);
    want.fingerprint = held.fingerprint;
    want.adapter_fingerprint = held.adapter_fingerprint;
    want.vocab = std::min(held.vocab, want.vocab);
    want.top_k = held.top_k;
  } else {
    TeacherModel teacher;
    teacher.files = OpenModel(recipe.teacher.path);
    want = CacheKeyOf(recipe, data, student.config.vocab, &teacher);
    KeepOldFingerprint(recipe, teacher.files, held.fingerprint, want);
  }
  reader->Check(want);
  reader->CheckExamples(data.train.examples, Namer(data));
  return reader;
}

TeachingSession::TeachingSession(const Recipe& recipe, Work work)
    : recipe_(WithAdapterFolders(recipe)), work_(work) {
  if (recipe_.teacher.path.empty()) {
    throw InputError("recipe '", recipe_.name,
                     "': 'teacher.path' is missing; teach needs a teacher");
  }
  if (work == Work::kCache && recipe_.teacher.cache.empty()) {
    throw InputError("recipe '", recipe_.name,
                     "': 'teacher.cache', the folder to fill, is missing");
  }
  student_ = OpenModel(recipe_.model.path);
  if (work == Work::kAnswers) {
    data_.rows = OpenPrompts(recipe_);
    CheckPrompts(data_.rows);
  } else {
    data_ = OpenRecipeData(recipe_, student_);
  }
  teacher_ = OpenTeacherModel(recipe_, student_, nullptr);
  if (work == Work::kCache) CheckSameTokens(recipe_, teacher_, data_);
}

std::vector<std::string> TeachingSession::Describe() const {
  const Architecture& c = teacher_.files.config;
  std::vector<std::string> lines = {
      Cat("teacher  ", recipe_.teacher.path.string(), ": ", c.layers(), " layers, width ", c.width,
          ", vocabulary ", c.vocab, ", ", TeacherWeights(recipe_.teacher, teacher_.files),
          ", compute ", NameOf(teacher_.model->compute()))};
  if (work_ == Work::kAnswers) {
    lines.push_back(Cat("data     ", data_.rows.size(), " prompts"));
  } else {
    const TeacherCacheKey key = CacheKeyOf(recipe_, data_, student_.config.vocab, &teacher_);
    const int64_t per_token = TeacherBytesPerToken(key.vocab, key.top_k);
    lines.push_back(Cat("data     ", data_.train.examples.size(), " rows, ", data_.train.tokens,
                        " tokens, of which ", data_.train.loss_tokens, " carry loss"));
    lines.push_back(Cat("cache    ", recipe_.teacher.cache.string(), ": ", key.top_k, " of ",
                        key.vocab, " ids a token, ", per_token, " bytes a token, ",
                        BytesText(TeacherCacheBytes(data_.train.examples, key.vocab, key.top_k)),
                        " in all before compression"));
  }
  for (const std::string& note : data_.train.notes) lines.push_back(Cat("note     ", note));
  for (const std::string& note : teacher_.notes) lines.push_back(Cat("note     ", note));
  return lines;
}

TeacherCacheSummary TeachingSession::Cache(const TeachProgress& on_progress) {
  const TeacherRecipe& t = recipe_.teacher;
  TeacherCacheKey key = CacheKeyOf(recipe_, data_, student_.config.vocab, &teacher_);
  if (std::filesystem::exists(t.cache / kTeacherCacheManifest)) {
    KeepOldFingerprint(recipe_, teacher_.files, SummarizeTeacherCache(t.cache).key.fingerprint,
                       key);
  }
  TeacherCacheWriter writer(t.cache, key, data_.train.examples, Namer(data_));
  CacheTeacher(*teacher_.model, teacher_.adapter.get(), data_.train.examples, key, kTeacherTokens,
               writer, on_progress);
  TeacherCacheSummary summary = SummarizeTeacherCache(t.cache);
  summary.written_again = writer.damaged_shards();
  return summary;
}

GeneratedAnswers TeachingSession::Generate(const Path& out, double temperature,
                                           const std::function<void(int64_t)>& on_progress) {
  GenerateOptions options;
  options.max_new_tokens = recipe_.teacher.max_new_tokens;
  options.temperature = temperature;
  options.seed = static_cast<uint64_t>(recipe_.train.seed);
  options.cache_type = CacheTypeFor(teacher_.model->compute());
  // The teacher's own template: with another tokenizer, its special tokens differ.
  std::optional<ChatTemplate> chat;
  if (data_.rows.HasMessages()) {
    chat = ChatTemplateFor("auto", teacher_.tokenizer->spec(), recipe_.teacher.adapter,
                           recipe_.teacher.path.string());
  }
  return GenerateAnswers(*teacher_.model, teacher_.adapter.get(), *teacher_.tokenizer,
                         chat ? &*chat : nullptr, data_.rows, out, options, on_progress);
}

}  // namespace retort
