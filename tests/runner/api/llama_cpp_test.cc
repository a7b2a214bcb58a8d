// SPDX-License-Identifier: Apache-2.0
// llama.cpp's own form of a completion, and what its clients ask beside it.
#include "runner/api/llama_cpp/llama_cpp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kCompletion = "/completion";

// The objects of a stream, which has no [DONE].
std::vector<Json> Told(const std::string& body) {
  std::vector<Json> events;
  for (const std::string& line : Split(body, '\n')) {
    if (StartsWith(line, "data: ")) events.push_back(ParseJson(line.substr(6), "event"));
  }
  return events;
}

class LlamaCpp : public ServerTest {
 protected:
  // What OpenAI's API says to the same.
  std::string Expected(const std::string& prompt) {
    const Json whole = AskJson(
        Post(kComplete, Cat(R"({"max_tokens": 9, "prompt": )", DumpJson(Json(prompt)), "}")));
    return whole["choices"][0]["text"].get<std::string>();
  }
};

TEST_F(LlamaCpp, CompletesAText) {
  Start();
  const std::string expected = Expected("Once");
  const Json whole =
      AskJson(Post(kCompletion, R"({"prompt": "Once", "n_predict": 9, "id_slot": 0, "stop": [],
           "return_tokens": true, "n_keep": 0, "samplers": null})"));
  EXPECT_EQ(whole["content"], expected);
  EXPECT_EQ(whole["tokens"].size(), 9u);
  EXPECT_EQ(whole["tokens_predicted"], 9);
  EXPECT_EQ(whole["tokens_evaluated"], tokenizer_.EncodePrompt("Once").size());
  EXPECT_EQ(whole["stop"], true);
  EXPECT_EQ(whole["stop_type"], "limit");
  EXPECT_EQ(whole["truncated"], false);
  EXPECT_EQ(whole["generation_settings"]["n_predict"], 9);
  EXPECT_EQ(whole["timings"]["predicted_n"], 9);
  EXPECT_EQ(AskJson(Post(kCompletion, R"({"prompt": "Once", "n_predict": 9})"))["tokens"],
            Json::array());

  const std::string stop = expected.substr(3, 2);
  const Json stopped =
      AskJson(Post(kCompletion, Cat(R"({"prompt": "Once", "n_predict": 9, "stop": [)",
                                    DumpJson(Json(stop)), "]}")));
  EXPECT_EQ(stopped["stop_type"], "word");
  EXPECT_EQ(stopped["stopping_word"], stop);
  EXPECT_EQ(stopped["content"], expected.substr(0, expected.find(stop)));
}

TEST_F(LlamaCpp, EndsAtTheContextWhereNothingElseIsAsked) {
  options_.engine.context = 40;
  Start();
  const Json whole = AskJson(Post(kCompletion, R"({"prompt": "Once", "ignore_eos": true})"));
  EXPECT_EQ(whole["truncated"], true);
  EXPECT_EQ(whole["generation_settings"]["n_predict"], -1);
  EXPECT_EQ(whole["generation_settings"]["ignore_eos"], true);
}

TEST_F(LlamaCpp, Streams) {
  Start();
  const std::string expected = Expected("Once");
  const RawAnswer answer =
      Ask(Post(kCompletion,
               R"({"prompt": "Once", "n_predict": 9, "stream": true, "n_probs": 2,
          "timings_per_token": true})"));
  std::string text;
  size_t tokens = 0, probabilities = 0;
  const std::vector<Json> events = Told(answer.body);
  ASSERT_GT(events.size(), 2u);
  for (const Json& event : events) {
    text += event["content"].get<std::string>();
    tokens += event["tokens"].size();
    probabilities += event["completion_probabilities"].size();
    EXPECT_EQ(event["stop"], &event == &events.back());
    EXPECT_EQ(event["timings"]["prompt_n"], tokenizer_.EncodePrompt("Once").size());
  }
  EXPECT_EQ(text, expected);
  EXPECT_EQ(tokens, 9u);
  EXPECT_EQ(probabilities, 9u);
  const Json first = events[0]["completion_probabilities"][0];
  EXPECT_EQ(first["top_logprobs"].size(), 2u);
  EXPECT_EQ(first["id"], first["top_logprobs"][0]["id"]);
  EXPECT_EQ(first["id"], events[0]["tokens"][0]);
  EXPECT_LE(first["logprob"].get<double>(), 0);
}

TEST_F(LlamaCpp, PromptsOfEveryShape) {
  Start();
  const auto ids = tokenizer_.EncodePrompt("Once");
  const auto ask = [&](const Json& prompt) {
    return AskJson(Post(kCompletion, DumpJson({{"prompt", prompt}, {"n_predict", 9}})));
  };
  const Json expected = Expected("Once");
  EXPECT_EQ(ask(ids)["content"], expected);
  EXPECT_EQ(ask({{"prompt_string", "Once"}})["content"], expected);
  const Json several = ask(Json::array({"Once", ids, {{"prompt_string", "Once"}}}));
  ASSERT_EQ(several.size(), 3u);
  for (size_t i = 0; i < several.size(); ++i) {
    EXPECT_EQ(several[i]["content"], expected);
    EXPECT_EQ(several[i]["index"], i);
  }
  // Texts and ids of one prompt, which has one BOS.
  const Json mixed = ask(Json::array({"On", tokenizer_.Encode("c", true)[0], "e"}));
  EXPECT_EQ(mixed["tokens_evaluated"], ids.size());
  EXPECT_EQ(mixed["content"], expected);
  EXPECT_EQ(Refused(400, kCompletion, R"({"prompt": {"prompt_string": "a",
      "multimodal_data": "b"}})")["param"],
            "prompt.multimodal_data");
}

TEST_F(LlamaCpp, TellsTheFieldsThatAreAskedFor) {
  Start();
  const Json chosen = AskJson(Post(kCompletion, R"({"prompt": "Once", "n_predict": 3,
      "response_fields": ["content", "generation_settings/n_predict", "prompt/x", "nothing"]})"));
  EXPECT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen["generation_settings/n_predict"], 3);
  const auto status = [&](const std::string& path) {
    return Ask(Post(kCompletion, DumpJson({{"prompt", "a"},
                                           {"n_predict", 1},
                                           {"response_fields", Json::array({path})}})))
        .status;
  };
  EXPECT_EQ(status(std::string(200, 'a')), 200);
  EXPECT_EQ(status(std::string(201, 'a')), 400);
  EXPECT_EQ(status("a/b/c/d"), 200);
  EXPECT_EQ(status("a/b/c/d/e"), 400);
}

TEST_F(LlamaCpp, ProbabilitiesOfTheDraw) {
  Start();
  const Json whole = AskJson(Post(kCompletion, R"({"prompt": "Once", "n_predict": 4, "n_probs": 5,
      "post_sampling_probs": true, "temperature": 1, "top_k": 3, "backend_sampling": true})"));
  ASSERT_EQ(whole["completion_probabilities"].size(), 4u);
  for (const Json& token : whole["completion_probabilities"]) {
    EXPECT_FALSE(token.contains("logprob"));
    ASSERT_EQ(token["top_probs"].size(), 3u);
    double sum = 0;
    bool among = false;
    for (const Json& one : token["top_probs"]) {
      sum += one["prob"].get<double>();
      among |= one["id"] == token["id"] && one["prob"] == token["prob"];
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_TRUE(among);
  }
}

TEST_F(LlamaCpp, RefusesWhatItDoesNotHonourByName) {
  Start();
  const auto refused = [&](const std::string& member) {
    return Refused(400, kCompletion, Cat(R"({"prompt": "a", )", member, "}"))["param"];
  };
  EXPECT_EQ(refused(R"("post_sampling_probs": "yes")"), "post_sampling_probs");
  EXPECT_EQ(refused(R"("lora": [{"id": 0}])"), "lora");
  EXPECT_EQ(refused(R"("samplers": ["top_k"])"), "samplers");
  EXPECT_EQ(refused(R"("t_max_predict_ms": 5)"), "t_max_predict_ms");
  EXPECT_EQ(refused(R"("temprature": 5)"), "temprature");
  EXPECT_EQ(refused(R"("response_fields": [5])"), "response_fields");
  EXPECT_EQ(refused(R"("logit_bias": [["a"]])"), "logit_bias");
  EXPECT_EQ(refused(R"("id_slot": "first")"), "id_slot");
  EXPECT_EQ(refused(R"("n_cache_reuse": "much")"), "n_cache_reuse");
  EXPECT_EQ(refused(R"("n_predict": 0)"), "n_predict");
}

TEST_F(LlamaCpp, ErrorsNameTheClientsOwnFields) {
  Start();
  const auto refused = [&](const std::string& member) {
    const Json error = Refused(400, kCompletion, Cat(R"({"prompt": "a", )", member, "}"));
    EXPECT_TRUE(StartsWith(error["message"].get<std::string>(),
                           Cat("'", error["param"].get<std::string>(), "'")))
        << error["message"];
    return error["param"];
  };
  for (const char* value : {"-1", "21", "false", "\"2\""})
    EXPECT_EQ(refused(Cat(R"("n_probs": )", value)), "n_probs") << value;
  EXPECT_EQ(refused(R"("n_probs": 2, "n_predict": -1, "n_cmpl": 0)"), "n_cmpl");
  EXPECT_EQ(refused(R"("n_cmpl": 129)"), "n_cmpl");
  EXPECT_EQ(refused(R"("n_cmpl": 128)"), "n_cmpl");  // places
  EXPECT_EQ(refused(R"("n_cmpl": 2, "n": 3)"), "n_cmpl");
  EXPECT_EQ(AskJson(Post(kCompletion, R"({"prompt": "a", "n_cmpl": 2, "n": 2, "n_predict": 1,
      "n_probs": 0})"))
                .size(),
            2u);
}

TEST_F(LlamaCpp, ReadsTheMarksThatATemplateWrote) {
  Start();
  const std::string chat = R"("messages": [{"role": "user", "content": "Hi"}])";
  const Json prompt = AskJson(Post("/apply-template", Cat("{", chat, "}")))["prompt"];
  const Json expected = AskJson(Post(kChat, Cat("{", chat, R"(, "max_tokens": 5})")));
  for (const std::string begin : {"", "<s>"}) {  // BOS comes once, whoever writes it
    const Json text = begin + prompt.get<std::string>();
    const Json whole = AskJson(Post(kCompletion, DumpJson({{"prompt", text}, {"n_predict", 5}})));
    EXPECT_EQ(whole["content"], expected["choices"][0]["message"]["content"]);
    EXPECT_EQ(whole["tokens_evaluated"], expected["usage"]["prompt_tokens"]);
    EXPECT_EQ(whole["prompt"], "<s>" + prompt.get<std::string>());
    const Json tokens =
        AskJson(Post("/tokenize", DumpJson({{"content", text}, {"add_special", true}})));
    EXPECT_EQ(whole["tokens_evaluated"], tokens["tokens"].size());
  }
  const auto mixed = tokenizer_.Encode({{"<|im_start|>", true}}, true);
  ASSERT_EQ(mixed.size(), 1u);
  EXPECT_EQ(AskJson(Post(kCompletion,
                         R"({"prompt": [5, "<|im_start|>"], "n_predict": 1})"))["tokens_evaluated"],
            2);
}

// Counts the texts that it gets, and refuses one of them as those do that would take too long.
class WatchedTokenizer : public ByteTokenizer {
 public:
  using ByteTokenizer::Encode;
  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    ++texts;
    if (segments.front().text == "slow") throw InputError("too slow");
    return ByteTokenizer::Encode(segments, continuation);
  }
  mutable int texts = 0;
};

// The error's code and parameter.
std::string Refusal(const std::string& body, const Tokenizer& tokenizer) {
  try {
    ReadLlamaCppRequest(body, 1, tokenizer, 8);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 400);
    return Cat(e.code, " ", e.param);
  }
  return "";
}

TEST(LlamaCppRequest, TokenisesNoMoreThanItMust) {
  const WatchedTokenizer tokenizer;
  EXPECT_EQ(Refusal(R"({"prompt": [1, "a"], "temperature": -1})", tokenizer),
            "invalid_value temperature");
  EXPECT_EQ(tokenizer.texts, 0);
  EXPECT_EQ(Refusal(R"({"prompt": [1, "1234567"]})", tokenizer), "");
  EXPECT_EQ(Refusal(R"({"prompt": [1, "12345678", "more", "more"]})", tokenizer),
            "context_length_exceeded prompt");
  EXPECT_EQ(tokenizer.texts, 2);
  EXPECT_EQ(Refusal(R"({"prompt": [1, "slow"]})", tokenizer), "invalid_value prompt");
  EXPECT_EQ(Refusal(R"({"prompt": ["a", -1]})", tokenizer), "invalid_value prompt");
}

TEST(LlamaCppRequest, BiasesAreBounded) {
  const WatchedTokenizer tokenizer;
  const auto refusal = [&](const Json& biases) {
    return Refusal(DumpJson({{"prompt", "a"}, {"logit_bias", biases}}), tokenizer);
  };
  const std::string refused = "invalid_value logit_bias";
  EXPECT_EQ(refusal({{std::string(1024, 'a'), 1}}), "");
  EXPECT_EQ(refusal({{std::string(1025, 'a'), 1}}), refused);
  Json pairs = Json::array();
  for (int i = 0; i < 2000; ++i) pairs.push_back(Json::array({Cat("a", i), 1}));
  tokenizer.texts = 0;
  EXPECT_EQ(refusal(pairs), refused);
  EXPECT_LT(tokenizer.texts, 600);
  EXPECT_EQ(refusal(Json(2000, Json::array({7, 1}))), refused);
  EXPECT_EQ(refusal({{"slow", 1}}), refused);
}

TEST(LlamaCppRequest, BiasesOfTextsAreThoseOfTheirTokens) {
  const ByteTokenizer tokenizer;
  const auto biases = [&](const std::string& value) {
    return ReadLlamaCppRequest(Cat(R"({"prompt": "a", "logit_bias": )", value, "}"), 1, tokenizer,
                               8)
        .request.sampling.logit_bias;
  };
  const std::vector<int32_t> ids = tokenizer.Encode("xy", true);
  for (const char* value : {R"([["xy", -5]])", R"({"xy": -5})"}) {
    const auto read = biases(value);
    ASSERT_EQ(read.size(), 2u) << value;
    EXPECT_EQ(read[0].second, -5);
    EXPECT_EQ(read[0].first + read[1].first, ids[0] + ids[1]);
  }
  EXPECT_EQ(biases(R"({"7": 1})").front().first, 7);
  EXPECT_EQ(biases(R"({"007": 1})").front().first, 7);
  EXPECT_EQ(biases(R"([["7", 1]])").front().first, tokenizer.Encode("7", true)[0]);
  EXPECT_TRUE(std::isinf(biases(R"([[7, false]])").front().second));
}

// The marks stand around what the client sends, and end the answer.
TEST_F(LlamaCpp, AGapIsFilledBetweenMarks) {
  const std::vector<std::string> names = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"};
  const auto read = [](const Tokenizer& tokenizer, const std::string& body) {
    return ReadInfillRequest(body, 1, tokenizer, 1000).request;
  };
  const std::string gap =
      R"({"input_prefix": "a<s>", "prompt": "b", "input_suffix": "c", "n_predict": 9})";
  const ByteTokenizer plain(names);
  const ApiRequest request = read(plain, gap);
  std::vector<int32_t> expected = {ByteTokenizer::kBos};
  const auto add = [&](const ByteTokenizer& tokenizer, const std::vector<Segment>& text) {
    const auto more = tokenizer.Encode(text, true);
    expected.insert(expected.end(), more.begin(), more.end());
  };
  const std::vector<Segment> around = {
      {names[0], true}, {"a<s>b", false}, {names[1], true}, {"c", false}, {names[2], true}};
  add(plain, around);
  EXPECT_EQ(request.prompts.at(0).ids, expected);
  EXPECT_EQ(request.sampling.max_tokens, 9);
  EXPECT_EQ(request.sampling.stop_token_ids,
            (std::vector<int32_t>{plain.Id(names[0]), plain.Id(names[1]), plain.Id(names[2])}));

  // Other files come first, each behind the mark of a file, if there is one.
  const std::string files =
      gap.substr(0, gap.size() - 1) +
      R"(, "input_extra": [{"filename": "f.h", "text": "x"}, {"text": "y"}]})";
  expected = {ByteTokenizer::kBos};
  add(plain, {{"x\ny\n", false}});
  add(plain, around);
  EXPECT_EQ(read(plain, files).prompts.at(0).ids, expected);
  const ByteTokenizer marked({names[0], names[1], names[2], "<|file_sep|>"});
  const Segment file = {"<|file_sep|>", true};
  expected = {ByteTokenizer::kBos};
  add(marked, {file, {"f.h\nx\n", false}, file, {"y\n", false}, file});
  add(marked, around);
  EXPECT_EQ(read(marked, files).prompts.at(0).ids, expected);
}

TEST_F(LlamaCpp, AGapThatCannotBeFilledIsRefused) {
  Start();
  const std::string gap = R"({"input_prefix": "a", "input_suffix": "b")";
  EXPECT_EQ(Refused(501, "/infill", gap + "}")["code"], "no_infill");
  Refused(400, "/infill", R"({"input_prefix": "a"})");
  Refused(400, "/infill", R"({"input_suffix": "a"})");
  for (const char* extra :
       {"{}", R"([{}])", R"([{"filename": "a"}])", R"([{"filename": 1, "text": "a"}])", R"(["a"])"})
    EXPECT_EQ(Refused(400, "/infill", Cat(gap, R"(, "input_extra": )", extra, "}"))["param"],
              "input_extra")
        << extra;
}

TEST_F(LlamaCpp, AVerboseAnswerTellsItsPrompt) {
  // The text, not what its tokens say: those may have a space behind each mark.
  tokenizer_.mutable_spec().add_space_prefix = true;
  Start();
  const std::string chat = R"({"messages": [{"role": "user", "content": "Hi"}])";
  const Json rendered = AskJson(Post("/apply-template", chat + "}"));
  const auto whole = [&](const std::string& more) {
    return AskJson(Post(kChat, Cat(chat, R"(, "max_tokens": 1)", more, "}")));
  };
  EXPECT_EQ(whole(R"(, "verbose": true)")["__verbose"]["prompt"],
            "<s> " + rendered["prompt"].get<std::string>());
  EXPECT_FALSE(whole(R"(, "verbose": false)").contains("__verbose"));
  EXPECT_FALSE(whole("").contains("__verbose"));
}

TEST_F(LlamaCpp, SlotsAndTokensOfAChat) {
  options_.engine.parallel = 3;
  Start();
  const Json slots = AskJson(Get("/slots"));
  ASSERT_EQ(slots.size(), 3u);
  EXPECT_EQ(slots[0]["n_ctx"], server_->context());
  EXPECT_EQ(slots[0]["is_processing"], false);
  EXPECT_EQ(Ask(Get("/slots?fail_on_no_slot=1")).status, 200);
  const std::string chat =
      R"({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "id_slot": 0})";
  EXPECT_EQ(AskJson(Post("/v1/chat/completions/input_tokens", chat))["input_tokens"],
            AskJson(Post(kChat, chat))["usage"]["prompt_tokens"]);
}

TEST_F(LlamaCpp, SaysWhenNoSlotIsFree) {
  MakeEndless();
  options_.engine.parallel = 1;
  Start();
  RawClient client(server_->port());
  client.Send(Endless(true));
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 1; }));
  EXPECT_EQ(AskJson(Get("/slots?other=fail_on_no_slot=1"))[0]["is_processing"], true);
  Refused(503, Ask(Get("/slots?a&fail_on_no_slot=1")));
}

}  // namespace
}  // namespace retort
