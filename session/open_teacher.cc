// SPDX-License-Identifier: Apache-2.0
#include "session/open_teacher.h"

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "model/load.h"
#include "model/store/base_check.h"
#include "model/store/chat_files.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"
#include "tokenizer/tokenizer_agreement.h"

namespace retort {
namespace {

bool MayShare(const Recipe& recipe, const ModelFiles& teacher, const ModelFiles& student) {
  const auto threads = static_cast<int>(recipe.train.threads);
  return recipe.adapter.kind != "none" && recipe.teacher.weights == recipe.model.weights &&
         recipe.teacher.device == "auto" && recipe.teacher.compute == "auto" &&
         ArchitectureHash(teacher.config) == ArchitectureHash(student.config) &&
         Fingerprint(teacher, threads) == Fingerprint(student, threads);
}

Error OtherTokens(const Recipe& recipe, const std::string& difference) {
  return InputError("'teacher.path' ", recipe.teacher.path.string(),
                    ": its tokenizer is not the student's: ", difference,
                    "; set teacher.divergence to sorted to distil all the same, or choose a "
                    "teacher of the student's family");
}

}  // namespace

TeacherModel OpenTeacherModel(const Recipe& recipe, const ModelFiles& student_files,
                              const Model* student, bool counting) {
  const TeacherRecipe& t = recipe.teacher;
  TeacherModel out;
  out.files = OpenModel(t.path);
  if (!t.adapter.empty())
    out.notes = CheckAdapterBase(t.adapter, out.files, static_cast<int>(recipe.train.threads));
  out.tokenizer = LoadTokenizer(out.files);
  if (student && MayShare(recipe, out.files, student_files)) {
    out.model = student;
  } else {
    const std::string device = t.device == "auto" ? recipe.model.device : t.device;
    out.backend = MakeBackend(
        {device, static_cast<int>(recipe.train.threads), ComputeNamed(t.compute), counting});
    LoadOptions options;
    if (t.weights != "as-is") options.weights = FormatNamed(t.weights);
    out.own = LoadModel(out.files, options, *out.backend);
    out.model = out.own.get();
  }
  if (!t.adapter.empty()) {
    out.adapter = Adapter::Load(t.adapter, out.files.layout, out.model->backend, {&out.files});
    if (IsZero(*out.adapter, out.model->backend)) out.notes.push_back(ZeroAdapterNote(t.adapter));
  }
  return out;
}

std::string TeacherWeights(const TeacherRecipe& recipe, const ModelFiles& files) {
  const WeightFormat stored = files.stored_format();
  const bool kept =
      recipe.weights == "as-is" || (recipe.weights == "nf4" && TraitsOf(stored).block_elements > 1);
  return kept ? Cat(TraitsOf(stored).name, ", as stored") : recipe.weights;
}

void CheckSameTokens(const Recipe& recipe, const TeacherModel& teacher, const RecipeData& data) {
  const std::string difference = Disagreement(*data.tokenizer, *teacher.tokenizer);
  if (!difference.empty()) throw OtherTokens(recipe, difference);
  ExampleOptions options = ExampleOptionsOf(recipe, teacher.files.config.max_positions);
  options.loss_on = LossOn::kCompletion;  // only ids are compared
  for (const Example& example : data.train.examples) {
    const std::string where = WhereOf(data, example);
    if (example.size() > teacher.files.config.max_positions) {
      throw InputError(where, ": ", example.size(), " tokens are more than the teacher's ",
                       teacher.files.config.max_positions, " positions; lower data.max_tokens");
    }
    for (const int32_t id : example.ids) {
      if (id < teacher.files.config.vocab) continue;
      throw InputError(where, ": token ", id, " is beyond the teacher's vocabulary of ",
                       teacher.files.config.vocab);
    }
  }
  for (int64_t i = 0; i < data.rows.size(); ++i) {
    const Row row = data.rows.Read(i);
    if (row.kind == RowFormat::kTokens) continue;
    const ChatTemplate* chat = data.chat ? &*data.chat : nullptr;
    if (EncodeRow(row, *data.tokenizer, chat, options).ids !=
        EncodeRow(row, *teacher.tokenizer, chat, options).ids) {
      throw OtherTokens(recipe, Cat("it encodes ", row.where, " to other ids"));
    }
  }
}

std::map<int64_t, Example> RowsForTeacher(const Recipe& recipe, const TeacherModel& teacher,
                                          const RecipeData& data) {
  if (recipe.data.over_length == "split") {
    throw InputError(
        "'data.over_length' split cuts rows by the student's tokens, which the "
        "teacher does not share; use drop or truncate");
  }
  const auto limit = static_cast<size_t>(teacher.files.config.max_positions);
  const ExampleOptions options = ExampleOptionsOf(recipe, teacher.files.config.max_positions);
  std::optional<ChatTemplate> chat;
  if (data.chat) {
    chat = ChatTemplateFor("auto", teacher.tokenizer->spec(), recipe.teacher.adapter,
                           recipe.teacher.path.string());
  }
  std::map<int64_t, Example> out;
  for (const Example& example : data.train.examples) {
    const Row row = data.rows.Read(example.row);
    if (row.kind == RowFormat::kTokens) {
      throw InputError(row.where, ": rows of ids mean nothing to a teacher with another tokenizer");
    }
    Example own = EncodeRow(row, *teacher.tokenizer, chat ? &*chat : nullptr, options);
    own.ids.resize(std::min(own.ids.size(), limit));
    own.labels.resize(own.ids.size());
    out.emplace(example.row, std::move(own));
  }
  return out;
}

}  // namespace retort
