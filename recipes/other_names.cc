// SPDX-License-Identifier: Apache-2.0
#include "recipes/other_names.h"

#include <algorithm>
#include <cctype>

#include "base/strings.h"
#include "recipes/keys.h"

namespace retort {
namespace {

struct OtherKey {
  const char* other;
  const char* ours;
  const char* how = "";  // what to write there, if it is not what they write
};

constexpr OtherKey kOtherKeys[] = {
    // The model.
    {"base_model", "model.path"},
    {"model_name", "model.path"},
    {"model_id", "model.path"},
    {"model_name_or_path", "model.path"},
    {"pretrained_model_name_or_path", "model.path"},
    {"base_model_name_or_path", "model.path"},
    {"load_in_4bit", "model.weights", " (nf4 is the default)"},
    {"use_4bit", "model.weights", " (nf4 is the default)"},
    {"load_in_8bit", "model.weights", " (8 bits are not supported; nf4, bf16 or f32)"},
    {"quantization_bit", "model.weights", " (nf4 for 4)"},
    {"quantization", "model.weights"},
    {"quantization_config", "model.weights"},
    {"bnb_4bit_quant_type", "model.weights"},
    {"bnb_4bit_use_double_quant", "model.double_quant"},
    {"double_quantization", "model.double_quant"},
    {"use_nested_quant", "model.double_quant"},
    {"bnb_4bit_compute_dtype", "model.compute"},
    {"compute_dtype", "model.compute"},
    {"torch_dtype", "model.weights"},
    {"dtype", "model.weights"},
    {"bf16", "model.compute", " (bf16)"},
    {"fp16", "model.compute", " (f32 or bf16)"},
    {"pure_bf16", "model.weights", " (bf16)"},
    {"device_map", "model.device"},
    // The adapter.
    {"r", "adapter.rank"},
    {"lora_r", "adapter.rank"},
    {"lora_rank", "adapter.rank"},
    {"lora_alpha", "adapter.alpha"},
    {"lora_dropout", "adapter.dropout"},
    {"lora_target", "adapter.targets"},
    {"lora_target_modules", "adapter.targets"},
    {"target_modules", "adapter.targets"},
    {"lora_target_linear", "adapter.targets", " (all-linear is the default)"},
    {"exclude_modules", "adapter.exclude"},
    {"layers_to_transform", "adapter.layers"},
    {"peft_layers_to_transform", "adapter.layers"},
    {"lora_layers_to_transform", "adapter.layers"},
    {"use_dora", "adapter.dora"},
    {"peft_use_dora", "adapter.dora"},
    {"lora_modules_to_save", "adapter.modules_to_save"},
    {"additional_target", "adapter.modules_to_save"},
    {"trainable_token_indices", "adapter.trainable_tokens"},
    {"peft_trainable_token_indices", "adapter.trainable_tokens"},
    {"init_lora_weights", "adapter.initialise"},
    {"peft_init_lora_weights", "adapter.initialise"},
    {"pissa_init", "adapter.initialise", " (pissa)"},
    {"init_weights", "adapter.initialise"},
    {"loraplus_lr_ratio", "adapter.lr_ratio"},
    {"loraplus_ratio", "adapter.lr_ratio"},
    {"use_rslora", "adapter.rslora"},
    {"peft_use_rslora", "adapter.rslora"},
    {"lora_model_dir", "adapter.init"},
    {"adapter_name_or_path", "adapter.init"},
    {"finetuning_type", "adapter.kind", " (lora, or none to train every weight)"},
    {"peft_type", "adapter.kind"},
    {"use_peft", "adapter.kind"},
    {"use_lora", "adapter.kind"},
    // The data.
    {"dataset", "data.train"},
    {"datasets", "data.train"},
    {"dataset_name", "data.train"},
    {"dataset_path", "data.train"},
    {"data_path", "data.train"},
    {"data_files", "data.train"},
    {"train_file", "data.train"},
    {"train_data", "data.train"},
    {"train_dataset", "data.train"},
    {"dataset_train_split", "data.train"},
    {"test_datasets", "data.eval"},
    {"eval_dataset", "data.eval"},
    {"eval_file", "data.eval"},
    {"validation_file", "data.eval"},
    {"dataset_test_split", "data.eval"},
    {"val_set_size", "data.val_split"},
    {"val_size", "data.val_split"},
    {"cutoff_len", "data.max_tokens"},
    {"max_seq_length", "data.max_tokens"},
    {"max_seq_len", "data.max_tokens"},
    {"max_length", "data.max_tokens"},
    {"model_max_length", "data.max_tokens"},
    {"sequence_len", "data.max_tokens"},
    {"block_size", "data.max_tokens"},
    {"sample_packing", "data.packing"},
    {"neat_packing", "data.packing"},
    {"chat_template", "data.template"},
    {"dataset_type", "data.format"},
    {"train_on_inputs", "data.loss_on", " (all, or completion)"},
    {"train_on_prompt", "data.loss_on", " (all, or completion)"},
    {"completion_only_loss", "data.loss_on", " (completion is the default)"},
    {"assistant_only_loss", "data.loss_on", " (completion is the default)"},
    {"excess_length_strategy", "data.over_length"},
    // The training.
    {"learning_rate", "train.lr"},
    {"max_steps", "train.steps"},
    {"num_steps", "train.steps"},
    {"iters", "train.steps"},
    {"num_epochs", "train.epochs"},
    {"num_train_epochs", "train.epochs"},
    {"n_epochs", "train.epochs"},
    {"batch_size", "train.batch_rows"},
    {"train_batch_size", "train.batch_rows"},
    {"micro_batch_size", "train.batch_rows"},
    {"per_device_train_batch_size", "train.batch_rows"},
    {"gradient_accumulation_steps", "train.accumulate"},
    {"grad_accumulation_steps", "train.accumulate"},
    {"optim", "train.optimizer"},
    {"neftune_noise_alpha", "train.neftune"},
    {"neftune_alpha", "train.neftune"},
    {"label_smoothing_factor", "train.label_smoothing"},
    {"lr_scheduler_kwargs", "train.decay"},
    {"num_decay_steps", "train.decay"},
    {"adam_beta1", "train.beta1"},
    {"adam_beta2", "train.beta2"},
    {"adam_epsilon", "train.epsilon"},
    {"lr_scheduler", "train.schedule"},
    {"lr_scheduler_type", "train.schedule"},
    {"cosine_min_lr_ratio", "train.min_lr", " (a rate, not a ratio)"},
    {"warmup_ratio", "train.warmup"},
    {"warmup_steps", "train.warmup"},
    {"num_warmup_steps", "train.warmup"},
    {"max_grad_norm", "train.clip"},
    {"max_gradient_norm", "train.clip"},
    {"use_gradient_checkpointing", "train.gradient_checkpointing"},
    {"random_state", "train.seed"},
    {"data_seed", "train.seed"},
    {"dataloader_num_workers", "train.threads"},
    {"save_steps", "train.checkpoint_every"},
    {"saves_per_epoch", "train.checkpoint_every", " (in steps)"},
    {"save_total_limit", "train.keep"},
    {"eval_steps", "train.eval_every"},
    {"early_stopping_patience", "train.early_stop"},
    {"patience", "train.early_stop"},
    {"metric_for_best_model", "train.best_by"},
    {"evals_per_epoch", "train.eval_every", " (in steps)"},
    // The teacher.
    {"teacher_model", "teacher.path"},
    {"teacher_model_name_or_path", "teacher.path"},
    {"kd_temperature", "teacher.temperature"},
    {"kd_alpha", "teacher.weight"},
    {"lmbda", "teacher.lambda"},
    // What is no key here.
    {"output_dir", "--run"},
    {"resume_from_checkpoint", "--resume"},
    {"overwrite_output_dir", "--run", " (a new folder)"},
};

const OtherKey* FindOther(std::string_view name) {
  std::string plain(name.substr(0, kLongestName));
  for (char& c : plain)
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto found =
      std::ranges::find_if(kOtherKeys, [&](const OtherKey& key) { return plain == key.other; });
  return found == std::end(kOtherKeys) ? nullptr : found;
}

bool IsFlag(const OtherKey& key) { return std::string_view(key.ours).starts_with("--"); }

}  // namespace

std::string HereItIs(std::string_view other) {
  const OtherKey* key = FindOther(other);
  if (!key) return "";
  return IsFlag(*key) ? Cat("here it is the flag ", key->ours, key->how)
                      : Cat("here it is '", key->ours, "'", key->how);
}

std::string KeyMeant(std::string_view name) {
  for (const RecipeKey& key : RecipeKeys()) {
    if (key.name == name || key.leaf() == name) return key.name;
  }
  const OtherKey* key = FindOther(name);
  return key && !IsFlag(*key) ? key->ours : "";
}

}  // namespace retort
