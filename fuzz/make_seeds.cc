// SPDX-License-Identifier: Apache-2.0
// retort_fuzz_seeds FOLDER: writes small hand-made inputs of every target to FOLDER/TARGET. The
// corpora in fuzz/corpus grew from them.
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "data/teacher_cache.h"
#include "data/teacher_files.h"
#include "formats/gguf.h"
#include "formats/hdf5_rows.h"
#include "formats/safetensors.h"
#include "fuzz/support.h"
#include "template/chat_template.h"
#include "tokenizer/byte_tokenizer.h"
#include "tokenizer/sentencepiece_file.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

class Seeds {
 public:
  explicit Seeds(Path folder) : folder_(std::move(folder)) {}

  Path At(const char* target, std::string_view name) const {
    std::filesystem::create_directories(folder_ / target);
    return folder_ / target / name;
  }
  void Put(const char* target, std::string_view name, std::string_view bytes) const {
    WriteTextAtomically(At(target, name), bytes);
  }
  // With the names 0, 1, ...
  void PutAll(const char* target, const std::vector<std::string>& texts) const {
    for (size_t i = 0; i < texts.size(); ++i) Put(target, Cat(i), texts[i]);
  }

 private:
  Path folder_;
};

template <class T>
Bytes BytesOf(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::string Joined(std::string_view first, std::string_view second) {
  return Cat(first, std::string_view("\0", 1), second);
}

GgufMetadata LlamaMetadata(const char* architecture) {
  GgufMetadata m;
  const auto set = [&](const char* key, GgufValue value) {
    m.Set(Cat(architecture, ".", key), std::move(value));
  };
  m.Set("general.architecture", std::string(architecture));
  m.Set("general.alignment", uint32_t{32});
  set("block_count", uint32_t{1}), set("context_length", uint32_t{64});
  set("embedding_length", uint32_t{32}), set("feed_forward_length", uint32_t{32});
  set("attention.head_count", uint32_t{4}), set("attention.head_count_kv", uint16_t{2});
  set("attention.layer_norm_rms_epsilon", 1e-5f), set("rope.freq_base", 1e4f);
  set("rope.dimension_count", int64_t{8}), set("rope.scaling.type", std::string("linear"));
  set("rope.scaling.factor", 2.0);
  return m;
}

void AddTokens(const char* model, GgufMetadata& m) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<float> scores = {0, 0, 0};
  std::vector<int32_t> types = {2, 3, 3};
  for (const char* text : {"a", "b", "ab", "\u2581", "\u2581ab", "\u0120", "<|im_end|>"}) {
    tokens.push_back(text);
    scores.push_back(-static_cast<float>(tokens.size()));
    types.push_back(text[0] == '<' ? 4 : 1);
  }
  if (std::string_view(model) == "llama") {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char* const digits = "0123456789ABCDEF";
      tokens.push_back(Cat("<0x", digits[byte >> 4], digits[byte & 15], ">"));
      scores.push_back(0), types.push_back(6);
    }
  } else {
    m.Set("tokenizer.ggml.pre", std::string("llama-bpe"));
    m.Set("tokenizer.ggml.merges", GgufArray(std::vector<std::string>{"a b"}));
  }
  m.Set("tokenizer.ggml.model", std::string(model));
  m.Set("tokenizer.ggml.tokens", GgufArray(std::move(tokens)));
  m.Set("tokenizer.ggml.scores", GgufArray(std::move(scores)));
  m.Set("tokenizer.ggml.token_type", GgufArray(std::move(types)));
  m.Set("tokenizer.ggml.bos_token_id", uint32_t{1});
  m.Set("tokenizer.ggml.add_bos_token", true);
  m.Set("tokenizer.chat_template", std::string("{{ '<|im_start|>' }}"));
}

void WriteGguf(const Path& path, const GgufMetadata& m) {
  constexpr int64_t kRows = 10, kCols = 32;
  GgufWriter writer(path, m);
  writer.Declare("token_embd.weight", WeightFormat::kQ8_0, {kRows, kCols});
  writer.Declare("rope_freqs.weight", WeightFormat::kF32, {4});
  writer.Write("token_embd.weight", BytesOf(std::vector<char>(kRows * 34, 1)));
  writer.Write("rope_freqs.weight", BytesOf(std::vector<float>(4, 1)));
  writer.Commit();
}

void PutGguf(const Seeds& seeds) {
  for (const char* architecture : {"llama", "qwen2", "gemma3", "phi3"}) {
    GgufMetadata m = LlamaMetadata(architecture);
    if (architecture[0] == 'q') AddTokens("gpt2", m);
    if (architecture[0] == 'g') m.Set("gemma3.attention.sliding_window", uint32_t{16});
    WriteGguf(seeds.At("gguf", architecture), m);
  }
  GgufMetadata m = LlamaMetadata("llama");
  AddTokens("llama", m);
  m.Set("nested",
        GgufArray(std::vector<GgufArray>{std::vector<bool>{true}, std::vector<uint64_t>{1, 2}}));
  WriteGguf(seeds.At("gguf", "tokens"), m);
}

void PutSafetensors(const Seeds& seeds) {
  SafetensorsWriter writer(seeds.At("safetensors", "file"), {{"format", "pt"}});
  writer.Declare("a", WeightFormat::kF32, {2, 3});
  writer.Declare("b", WeightFormat::kBF16, {1});
  writer.Write("a", BytesOf(std::vector<float>(6, 1)));
  writer.Write("b", BytesOf(std::vector<uint16_t>(1, 1)));
  writer.Commit();
  seeds.PutAll(
      "safetensors",
      {R"({"metadata":{"total_size":8},"weight_map":{"a":"m-1.safetensors","b":"m-2"}})",
       R"({"__metadata__":{"k":"v"},"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}})"});
}

void PutTokenizerJson(const Seeds& seeds) {
  const FuzzFolder folder;
  WriteByteTokenizer(folder.path(), 283);
  seeds.Put("tokenizer_json", "bytes", ReadText(folder.path() / "tokenizer.json"));
  seeds.PutAll(
      "tokenizer_json",
      {R"({"added_tokens":[{"id":0,"content":"<s>","special":true,"lstrip":true,"normalized":false},
{"id":5,"content":"ab","special":false,"single_word":true,"rstrip":true,"normalized":true}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
"pre_tokenizer":null,"post_processor":{"type":"TemplateProcessing",
"single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},
"decoder":{"type":"ByteFallback"},
"model":{"type":"BPE","unk_token":"<s>","fuse_unk":true,"byte_fallback":false,"ignore_merges":false,
"vocab":{"<s>":0,"▁":1,"a":2,"b":3,"▁a":4,"ab":5},"merges":["▁ a",["a","b"]]}})",
       R"x({"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"(?i:'s|'t)|\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},
{"type":"Digits","individual_digits":true},
{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]},
"model":{"type":"BPE","vocab":{"a":0,"b":1,"Ġ":2,"ab":3},"merges":["a b"]}})x",
       R"x({"added_tokens":[{"id":1,"content":"</s>","special":true}],
"normalizer":{"type":"Strip"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}]},
"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["</s>",0],["▁a",-1.5],
["a",-2],["▁",-2.5],["ab",-3.25],["<0x41>",-9]]}})x"});
}

void PutSentencePiece(const Seeds& seeds) {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown},
                 {"<s>", 0, PieceType::kControl},
                 {"</s>", 0, PieceType::kControl},
                 {"\xe2\x96\x81", -1},
                 {"a", -2},
                 {"b", -3},
                 {"ab", -1},
                 {"<u>", 0, PieceType::kUserDefined},
                 {"x", 0, PieceType::kUnused}};
  spec.unk = 0, spec.bos = 1, spec.eos = 2;
  for (const bool unigram : {false, true}) {
    spec.unigram = unigram;
    spec.remove_extra_whitespaces = unigram;
    seeds.Put("sentencepiece", unigram ? "unigram" : "bpe", WriteSentencePieceModel(spec, unigram));
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789ABCDEF";
    spec.pieces.push_back(
        {Cat("<0x", digits[byte >> 4], digits[byte & 15], ">"), 0, PieceType::kByte});
  }
  spec.byte_fallback = true;
  seeds.Put("sentencepiece", "fallback", WriteSentencePieceModel(spec, true));
}

void PutConfig(const Seeds& seeds) {
  const auto config = [](std::string_view type, std::string_view more) {
    return Cat(
        R"({"model_type":")", type,
        R"(","num_hidden_layers":2,"hidden_size":64,"num_attention_heads":4,"num_key_value_heads":2,)",
        R"("intermediate_size":128,"vocab_size":300,"bos_token_id":1,"eos_token_id":2)", more, "}");
  };
  seeds.PutAll(
      "config",
      {Joined(
           config("llama", R"(,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,
"high_freq_factor":4,"original_max_position_embeddings":64},"attention_bias":true,"mlp_bias":true)"),
           R"({"eos_token_id":[2,5]})"),
       config("mistral", R"(,"sliding_window":16,"rope_theta":1e4,"head_dim":16)"),
       config("mixtral", R"(,"num_local_experts":4,"num_experts_per_tok":2)"),
       config("qwen2", R"(,"tie_word_embeddings":true,"use_sliding_window":false)"),
       config("qwen3_moe", R"(,"num_experts":4,"num_experts_per_tok":2,"moe_intermediate_size":32,
"norm_topk_prob":true,"decoder_sparse_step":1,"mlp_only_layers":[0])"),
       config(
           "gemma2",
           R"(,"attn_logit_softcapping":50,"final_logit_softcapping":30,"query_pre_attn_scalar":16,
"hidden_activation":"gelu_pytorch_tanh","sliding_window":8)"),
       config("gemma3_text",
              R"(,"rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,
"rope_theta":1e6},"sliding_attention":{"rope_type":"default","rope_theta":1e4}},
"layer_types":["sliding_attention","full_attention"])"),
       config("phi3", R"(,"partial_rotary_factor":0.5,"hidden_act":"silu","rms_norm_eps":1e-5)")});
}

void PutAdapterConfig(const Seeds& seeds) {
  seeds.PutAll(
      "adapter_config",
      {R"({"peft_type":"LORA","task_type":"CAUSAL_LM","base_model_name_or_path":"m","r":8,"lora_alpha":16,
"lora_dropout":0.05,"bias":"none","use_rslora":true,"target_modules":["q_proj","self_attn.v_proj"],
"exclude_modules":["k_proj"],"rank_pattern":{},"modules_to_save":null,"init_lora_weights":true})",
       R"x({"peft_type":"LORA","r":4,"lora_alpha":4,"target_modules":".*\\.(q|v)_proj","use_dora":false})x",
       R"({"peft_type":"LORA","r":1,"lora_alpha":0.5,"target_modules":"all-linear",
"exclude_modules":"model.layers.0.*","layers_to_transform":[1],"layers_pattern":"layers"})",
       R"x({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj","lm_head"],"use_dora":true,
"rank_pattern":{"layers\\.1\\..*q_proj":4,"k_proj":2},"alpha_pattern":{"(q|k)_proj":1.5},"bias":"lora_only"})x",
       R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["embed_tokens","up_proj"],"lora_bias":false,
"modules_to_save":["lm_head","norm"],"trainable_token_indices":{"lm_head":[1]},"init_lora_weights":"gaussian",
"target_parameters":[],"bias":"all"})",
       R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"],"trainable_token_indices":[1,7],
"lora_bias":true,"init_lora_weights":"pissa_niter_4","ensure_weight_tying":true})"});
}

void PutRecipe(const Seeds& seeds) {
  seeds.PutAll(
      "recipe",
      {"{\"model\": {\"path\": \"m\"}, // a comment\n \"data\": {\"train\": \"t.jsonl\"}}",
       R"({"model":{"path":"m","weights":"nf4","compute":"f32","double_quant":false},
"data":{"train":[{"path":"a.jsonl","weight":2.5},"b.jsonl"],"eval":"e.jsonl","format":"messages","template":"chatml",
"max_tokens":128,"over_length":"split","loss_on":"all"},
"adapter":{"rank":8,"alpha":16,"targets":"q_proj","dropout":0.1},
"train":{"steps":10,"lr":1e-3,"schedule":"cosine","warmup":0.1,"batch_rows":4,"accumulate":2,"clip":1}})",
       R"({"model":{"path":"m"},"data":{"train":"t.jsonl"},"teacher":{"path":"t","weights":"nf4",
"divergence":"forward_kl","weight":0.5,"temperature":2,"top_k":16,"cache":"c","mode":"cached"},
"export":{"out":"x.gguf","gguf":["q8_0"]},"train":{"epochs":1.5}})"});
}

void PutRows(const Seeds& seeds) {
  seeds.PutAll(
      "rows",
      {"{\"prompt\": \"one two\", \"completion\": \" three\"}\r\n\n{\"prompt\": \"\", \"completion\": \"<s>\"}\n",
       R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"},
)",
       R"({"messages":[{"role":"user","content":"hi <|im_end|>"},{"role":"assistant","content":"yes"}]})",
       "{\"instruction\": \"i\", \"input\": \"\", \"output\": \"o\"}\n{\"instruction\": \"i\", \"output\": \"p\"}\n",
       "\xef\xbb\xbf{\"question\": \"q\", \"answer\": \"a\"}\n",
       "{\"text\": \"na\\u00efve \\ud83d\\ude00\"}\n",
       R"({"input_ids": [1, 2, 3], "labels": [-100, 2, 3]})"});
}

constexpr int64_t kVocab = 300, kTopK = 4, kExamples = 6, kTokens = 40;

// A cache of one shard.
void PutTeacher(const Seeds& seeds) {
  const FuzzFolder place;
  const Path folder = place.path() / "cache";
  std::vector<Example> examples(kExamples);
  for (size_t e = 0; e < examples.size(); ++e) {
    const size_t loss = e == 0 ? 10 : 6;  // 40 in all
    for (size_t i = 0; i <= loss; ++i) {
      examples[e].ids.push_back(static_cast<int32_t>(7 * e + i));
      examples[e].labels.push_back(i == 0 ? kNoLoss : examples[e].ids.back());
    }
  }
  const TeacherCacheKey key{"models/teacher", "f00d", "", "70ce", "c4a7", kVocab, kTopK, 1};
  TeacherCacheWriter writer(folder, key, examples,
                            [](int64_t e) { return Cat("t.jsonl:", e + 1); });
  TopSelector selector(kVocab, kTopK, 1);
  int64_t tokens = 0;
  for (const Example& example : examples) {
    TopTokens rows(example.LossTokens(), selector.kept());
    for (int64_t row = 0; row < rows.n; ++row) {
      std::vector<float> logits(kVocab);
      for (size_t v = 0; v < logits.size(); ++v)
        logits[v] = static_cast<float>((37 * v + 11 * static_cast<size_t>(row)) % 64) / 8;
      selector.Select(logits, rows, row);
    }
    tokens += rows.n;
    writer.Append(rows);
  }
  RETORT_CHECK(tokens == kTokens, tokens);
  writer.Finish();
  seeds.Put("teacher_manifest", "one", ReadText(folder / kTeacherCacheManifest));
  seeds.Put("teacher_shard", "one", ReadText(TeacherShardPath(folder, 0)));
}

// What the child process sends of such a shard, for each layout of fuzz/hdf5_rows.cc.
class Sent {
 public:
  template <class T>
  Sent& Value(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Sent& Text(std::string_view text) {
    Value(static_cast<uint32_t>(text.size()));
    text_ += text;
    return *this;
  }
  template <class T>
  Sent& Dataset(std::string_view name, const std::vector<int64_t>& shape,
                const std::vector<T>& values) {
    Value(hdf5::Record::kDataset).Text(name).Value(Hdf5TypeOf<T>::kValue);
    Value(static_cast<uint8_t>(shape.size()));
    for (const int64_t dim : shape) Value(dim);
    const Bytes bytes = BytesOf(values);
    Value(static_cast<int64_t>(bytes.size())).Value(uint64_t{bytes.size()});
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string SentShard(char choice, const TeacherLayout& layout) {
  constexpr int64_t kCount = 3;
  TopTokens top(kCount, layout.kept);
  TopSelector selector(layout.vocab, layout.kept, 1);
  std::vector<float> logits(static_cast<size_t>(layout.vocab));
  for (int64_t row = 0; row < kCount; ++row) {
    logits[static_cast<size_t>(row)] = 12;
    selector.Select(logits, top, row);
  }
  StoredRows rows;
  EncodeRows(layout, top, rows);
  Sent sent;
  sent.Value(choice);
  sent.Dataset("examples/hash", {2, 16}, std::vector<uint8_t>(32, 7));
  sent.Dataset("examples/tokens", {2}, std::vector<int32_t>{1, 2});
  sent.Dataset("rows/values", {kCount, layout.kept}, rows.values);
  if (!rows.ids.empty()) sent.Dataset("rows/ids", {kCount, layout.kept}, rows.ids);
  if (!rows.high_ids.empty()) sent.Dataset("rows/high_ids", {kCount, layout.kept}, rows.high_ids);
  if (!rows.tails.empty()) sent.Dataset("rows/tail", {kCount}, rows.tails);
  return sent.Value(hdf5::Record::kEnd).text();
}

void PutHdf5Rows(const Seeds& seeds) {
  using hdf5::Record;
  Sent names;
  names.Value('\0').Value(Record::kDataset).Text("a").Value(hdf5::kNoType).Value(uint8_t{1});
  names.Value(int64_t{3}).Value(int64_t{12}).Value(uint64_t{0}).Value(Record::kEnd);
  Sent attributes;
  attributes.Value('\1').Value(Record::kText).Text("kind").Text("trainer state");
  attributes.Value(Record::kInt).Text("step").Value(int64_t{7});
  attributes.Value(Record::kNumber).Text("loss").Value(0.5).Value(Record::kFault).Text("m: no");
  seeds.PutAll("hdf5_rows", {names.text(), attributes.text(), SentShard(1, {300, 4}),
                             SentShard(2, {70'000, 2}), SentShard(3, {4, 4})});
}

void PutChatTemplates(const Seeds& seeds) {
  const std::string turns =
      Joined("sBe brief.", Joined("uhi", Joined("ayes <|im_end|>", "u more ")));
  std::vector<std::string> texts;
  for (const std::string& name : ChatTemplate::Names())
    texts.push_back(Joined(ChatTemplate::Named(name).Jinja(), turns));
  texts.push_back(Joined(
      "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are kind.<|im_end|>\n' }}"
      "{% endif %}{{ '<|im_start|>' }}",
      Joined("uhi", "ano")));
  texts.push_back(Joined(
      "<|start_header_id|><|eot_id|>Cutting Knowledge Date: December 2023 {{ '26 Jul 2024' }}",
      "uhi"));
  seeds.PutAll("chat_template", texts);
}

void PutGrammars(const Seeds& seeds) {
  seeds.PutAll(
      "grammar",
      {Joined(
           R"x(s{"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":120},"b":{"enum":["x","yz",null]},"c":{"$ref":"#"}},"required":["a"],"additionalProperties":false})x",
           R"x({"a":7,"b":"x"})x"),
       Joined(
           R"x(f{"oneOf":[{"type":"string","pattern":"^a[0-9]+$","maxLength":9},{"type":"array","prefixItems":[{"const":1}],"items":{"type":"number","exclusiveMinimum":0.5,"multipleOf":0.1},"minItems":2}],"not":{"const":"a1"}})x",
           R"x([1, 2.5])x"),
       Joined(
           R"x(s{"type":"object","patternProperties":{"^n":{"format":"date"}},"propertyNames":{"minLength":2},"minProperties":1,"if":{"required":["x"]},"then":{"properties":{"x":{"type":"null"}}},"dependentRequired":{"p":["q"]}})x",
           R"x({"nn":"2024-02-29"})x"),
       Joined(R"x(r(yes|no), [a-z\d ]{2,4}?\.|\p{Lu}+)x", R"x(yes, ab.)x"),
       Joined(R"x(c["card","cards","care"])x", R"x(cards)x"),
       Joined(R"x(groot ::= "(" root? ")" | [^a-c"] num{1,3}
num ::= [0-9]+ # digits
)x",
              R"x(((9)))x"),
       Joined(R"x(lstart: sum // a comment
?sum: NUM | sum "+"i (NUM | "x".."z" ~ 1..2)* -> add
NUM: /[0-9]+/ ["." "\u0030"]
%import common (WS, INT)
%ignore WS
)x",
              R"x(1 + 2.0y)x")});
}

void PutHttp(const Seeds& seeds) {
  seeds.PutAll(
      "http_request",
      {"GET /x?y=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
       "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
       "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       "POST /throw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nT: v\r\n\r\n",
       "HEAD / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
       "OPTIONS * HTTP/1.1\r\n\r\n"});
  seeds.PutAll(
      "http_body",
      {R"(c{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text",
"text":"hi"}]},{"role":"assistant","content":"yes"}],"temperature":0.7,"top_p":0.9,"max_tokens":16,"stream":true,
"stream_options":{"include_usage":true},"stop":["a","b"],"seed":7,"n":1})",
       R"(p{"prompt":"Once","max_tokens":8,"logprobs":null,"echo":false,"top_k":40,"repetition_penalty":1.1})",
       R"(p{"prompt":[1,2,3],"stop":"x","presence_penalty":0,"frequency_penalty":0.5,"logit_bias":{"1":-100}})",
       R"(c{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":
"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},{"role":"tool","tool_call_id":"x","content":"r"}],"tools":
[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":["integer",
"null"]}}}}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false})",
       R"(a{"max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"u"},{"role":
"assistant","content":[{"type":"tool_use","id":"x","name":"f","input":{}}]},{"role":"user","content":[{"type":
"tool_result","tool_use_id":"x","content":"r"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]})",
       R"(o{"model":"m:latest","messages":[{"role":"user","content":"u"}],"options":{"num_predict":-2},"format":"json"})",
       R"(n{"messages":[{"role":"user","content":"u"}],"tools":[{"name":"f","input_schema":{}}]})",
       "lann@example.org 1,1,1 +49 (30) 123-4567 sk-0123456789abcdefXYZ",
       R"(g{"prompt":"p","system":"s","raw":false,"think":false,"options":{"stop":["a"],"mirostat":2}})",
       R"(r{"instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"t"}]}],"text":{"format":
{"type":"json_schema","name":"n","schema":{}}}})",
       R"(e{"input":["a",[1,2]],"encoding_format":"base64","dimensions":2})"});
  seeds.PutAll(
      "answer",
      {"\x02Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x\"}}\n</tool_call>",
       "\x01<tool_call>\n<function=f>\n<parameter=a>\nx\n</parameter>\n</function>\n</tool_call>",
       "\x03<function=f>{\"a\": 1}</function>",
       "\x04<|tool_call|>[{\"name\": \"f\"}, {\"name\": \"f\"}]<|/tool_call|>",
       "\x06[TOOL_CALLS]f[ARGS]{\"a\": true}[TOOL_CALLS][{\"name\": \"f\", \"arguments\": \"{}\"}]",
       "\x07{\"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": \"f\"}"});
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: retort_fuzz_seeds FOLDER\n");
    return 2;
  }
  try {
    const retort::Seeds seeds(argv[1]);
    for (const auto put :
         {retort::PutGguf, retort::PutSafetensors, retort::PutTokenizerJson,
          retort::PutSentencePiece, retort::PutConfig, retort::PutAdapterConfig, retort::PutRecipe,
          retort::PutRows, retort::PutTeacher, retort::PutHdf5Rows, retort::PutChatTemplates,
          retort::PutGrammars, retort::PutHttp}) {
      put(seeds);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
