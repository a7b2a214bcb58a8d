// SPDX-License-Identifier: Apache-2.0
// Programs through a whole server: they say what the same calls say one by one.
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "tests/formats/support.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kPrograms = "/v1/programs";

class ProgramTest : public ServerTest {
 protected:
  Json Run(const Json& program) { return AskJson(Post(kPrograms, DumpJson(program))); }
  std::string Complete(const std::string& prompt, Json more) {
    more["prompt"] = prompt;
    return AskJson(Post(kComplete, DumpJson(more)))["choices"][0]["text"].get<std::string>();
  }
  // What a completion says of a text behind a prompt.
  double Logprob(const std::string& prompt, const std::string& text) {
    const Json answer = AskJson(Post(
        kComplete,
        DumpJson({{"prompt", prompt + text}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 0}})));
    const Json& tokens = answer["choices"][0]["logprobs"]["token_logprobs"];
    double sum = 0;
    for (size_t i = tokens.size() - text.size(); i < tokens.size(); ++i)
      sum += tokens[i].get<double>();
    return sum;
  }
  std::string Fault(const Json& steps) {
    const Json error = Refused(400, kPrograms, DumpJson({{"prompt", "a"}, {"steps", steps}}));
    return error.is_null() ? "" : error["message"].get<std::string>();
  }
};

TEST_F(ProgramTest, SaysWhatTheSameCallsSay) {
  Start();
  const Json program = {
      {"prompt", "Ticket: {ticket}\n"},
      {"variables", {{"ticket", "my card <s> was declined"}}},
      {"steps",
       {{{"text", "Team:"}},
        {{"select", "team"}, {"choices", {" cards", " loans", " cash"}}, {"suffix", "\n"}},
        {{"text", "Reply to {team}:"}},
        {{"generate", "reply"}, {"max_tokens", 12}, {"temperature", 0.7}, {"seed", 5}},
        {{"generate", "rest"}, {"max_tokens", 9}, {"stop", "e"}}}}};
  const Json answer = Run(program);
  ASSERT_TRUE(answer.contains("steps")) << answer;
  std::string text = "Ticket: my card <s> was declined\nTeam:";
  std::vector<double> logprobs;
  double sum = 0;
  const Json& select = answer["steps"][0];
  for (const Json& choice : select["choices"]) {
    const std::string with_end = choice["text"].get<std::string>() + "\n";
    const double expected = Logprob(text, with_end);
    EXPECT_NEAR(choice["logprob"].get<double>(), expected, 1e-9) << choice;
    logprobs.push_back(choice["logprob"].get<double>());
    sum += choice["probability"].get<double>();
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  const auto best = static_cast<size_t>(std::ranges::max_element(logprobs) - logprobs.begin());
  EXPECT_EQ(select["text"], select["choices"][best]["text"]);
  EXPECT_EQ(answer["variables"]["team"], select["text"]);
  text +=
      Cat(select["text"].get<std::string>(), "\nReply to ", select["text"].get<std::string>(), ":");
  const std::string reply = Complete(text, {{"max_tokens", 12}, {"temperature", 0.7}, {"seed", 5}});
  EXPECT_EQ(answer["steps"][1]["text"], reply);
  const std::string rest = answer["steps"][2]["text"].get<std::string>();
  EXPECT_EQ(rest.find('e'), std::string::npos);
  EXPECT_EQ(answer["text"], text.substr(text.find("Team:")) + reply + rest);
  EXPECT_EQ(Run(program)["steps"], answer["steps"]) << "another time, from the cache";
}

// A chain of questions about one text reads it once.
// Those who write a model's whole prompt begin with BOS, as its chat template does.
TEST_F(ProgramTest, APromptThatBeginsWithBosGetsNoSecondOne) {
  Start();
  const Json steps = {{{"generate", "x"}, {"max_tokens", 1}}};
  const auto prompt_tokens = [&](const Json& prompt) {
    return Run({{"prompt", prompt}, {"steps", steps}})["usage"]["prompt_tokens"];
  };
  EXPECT_EQ(prompt_tokens("hi"), 4);  // BOS, the dummy prefix and two letters
  EXPECT_EQ(prompt_tokens("<s>hi"), 4);
  EXPECT_EQ(prompt_tokens("hi<s>"), 5);
}

TEST_F(ProgramTest, SharedPrefixesAreReadOnce) {
  model_->config.max_positions = 4000;
  Start();
  constexpr int kQuestions = 8;
  const std::string text(900, 'x');
  Json steps = Json::array();
  int64_t asked = 0;
  for (int i = 0; i < kQuestions; ++i) {
    const std::string question = Cat("\nQuestion ", i, "?");
    steps.push_back({{"text", question}});
    steps.push_back({{"select", Cat("q", i)}, {"choices", {"a", "b", "c"}}});
    asked += std::ssize(question) + 1;
  }
  const Json usage = Run({{"prompt", text}, {"steps", steps}})["usage"];
  const auto all = usage["prompt_tokens"].get<int64_t>();
  const int64_t computed = all - usage["prompt_tokens_details"]["cached_tokens"].get<int64_t>();
  EXPECT_GT(all, kQuestions * std::ssize(text));
  // Of each piece, what is behind the last whole page of 32 that is known.
  EXPECT_LE(computed, std::ssize(text) + 2 + asked + kQuestions * (32 + 2));
  EXPECT_GE(computed, std::ssize(text) + asked);
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_NE(metrics.find(Cat("\nretort_prompt_tokens_total ", all, "\n")), std::string::npos);
  EXPECT_NE(metrics.find(Cat("\nretort_cached_prompt_tokens_total ", all - computed, "\n")),
            std::string::npos);
  EXPECT_TRUE(Eventually([&](const EngineCounts& c) { return c.prompt_tokens == all; }));
}

TEST_F(ProgramTest, BranchesGoOnFromTheSameTextAndAreGathered) {
  Start();
  const Json answer = Run(
      {{"prompt", "A sheep."},
       {"steps",
        {{{"branch", "facts"},
          {"each", {{"topic", {"wool", "food", "age"}}}},
          {"steps", {{{"text", " Of its {topic}:"}}, {{"generate", "fact"}, {"max_tokens", 6}}}}},
         {{"gather", "facts"}, {"text", "- {topic}: {fact}\n"}},
         {{"branch", "more"},
          {"branches",
           {{{{"select", "one"}, {"choices", {"p", "q"}}}},
            {{{"text", "{facts.1.fact}!"}}, {{"generate", "two"}, {"max_tokens", 3}}}}}},
         {{"generate", "end"}, {"max_tokens", 4}}}}});
  ASSERT_TRUE(answer.contains("steps")) << answer;
  std::string gathered;
  size_t at = 0;
  for (const char* topic : {"wool", "food", "age"}) {
    const std::string fact = Complete(Cat("A sheep. Of its ", topic, ":"), {{"max_tokens", 6}});
    EXPECT_EQ(answer["steps"][0]["branches"][at++]["steps"][0]["text"], fact) << topic;
    gathered += Cat("- ", topic, ": ", fact, "\n");
  }
  const std::string end = Complete("A sheep." + gathered, {{"max_tokens", 4}});
  EXPECT_EQ(answer["text"], gathered + end);
  const Json& second = answer["steps"][1]["branches"][1];
  EXPECT_EQ(
      second["steps"][0]["text"],
      Complete(Cat("A sheep.", gathered,
                   answer["steps"][0]["branches"][1]["steps"][0]["text"].get<std::string>(), "!"),
               {{"max_tokens", 3}}));
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ProgramTest, CountedBranchesDrawDifferently) {
  Start();
  Json program = {
      {"prompt", "Once"},
      {"seed", 3},
      {"steps",
       {{{"branch", "tries"},
         {"count", 4},
         {"steps", {{{"generate", "said"}, {"max_tokens", 8}, {"temperature", 1.5}}}}}}}};
  const auto texts = [](const Json& answer) {
    std::set<std::string> said;
    for (const Json& branch : answer["steps"][0]["branches"])
      said.insert(branch["text"].get<std::string>());
    return said;
  };
  const Json once = Run(program);
  EXPECT_GT(texts(once).size(), 1u);
  EXPECT_EQ(Run(program)["steps"], once["steps"]);
  program["seed"] = 4;
  EXPECT_NE(texts(Run(program)), texts(once));
}

TEST_F(ProgramTest, AChatBeginsAProgram) {
  Start();
  const Json messages = {{{"role", "user"}, {"content", "Is it {urgent}?"}}};
  const Json answer =
      Run({{"messages", messages}, {"steps", {{{"generate", "said"}, {"max_tokens", 10}}}}});
  const Json chat = AskJson(Post(kChat, DumpJson({{"messages", messages}, {"max_tokens", 10}})));
  EXPECT_EQ(answer["variables"]["said"], chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], chat["usage"]["prompt_tokens"]);
}

TEST_F(ProgramTest, FaultsNameTheirStep) {
  Start();
  const Json select = {{"select", "x"}, {"choices", {"a", "b"}}};
  EXPECT_EQ(Fault({{{"text", "{y}"}}}), "'steps[0].text' names 'y', which no step before has made");
  EXPECT_EQ(Fault({select, {{"text", "{z}"}}}),
            "'steps[1].text' names 'z', which no step before has made; did you mean 'x'?");
  EXPECT_EQ(Fault({{{"text", "a { b"}}}),
            "'steps[0].text' is no text with variables: '{' at byte 2 is not closed; "
            "'{{' stands for a brace");
  EXPECT_EQ(Fault({select, select}),
            "'steps[1].select' is 'x', which is taken; give it another name");
  EXPECT_EQ(Fault({{{"select", "x"}, {"choices", {"a", "a"}}}}),
            "'steps[0].choices' has 'a' twice");
  EXPECT_EQ(
      Fault({{{"select", "x"}, {"choices", {"cat", "category"}}}}),
      "'steps[0]': the choice 'category' begins with the tokens of 'cat', which is never less "
      "likely; give a 'suffix' that ends both, such as a new line");
  EXPECT_EQ(Fault({{{"generate", "x"}, {"temperature", -1}}}).substr(0, 23),
            "'steps[0]': temperature");
  EXPECT_EQ(Fault({{{"generate", "x"}, {"stream", true}}}),
            "'steps[0].stream' is no field of a step");
  EXPECT_EQ(Fault({{{"gather", "x"}, {"text", ""}}}),
            "'steps[0].gather' is 'x', and no branch step before it has that name");
  EXPECT_EQ(
      Fault({{{"branch", "b"},
              {"count", 2},
              {"steps", {{{"branch", "c"}, {"count", 40}, {"steps", {select}}}}}}}),
      "'steps[0].steps[0]' brings the program's branches to 82, all branches together; it may "
      "have 64");
  EXPECT_EQ(Fault({{{"generate", "x"}, {"max_tokens", -1}}, {{"text", std::string(100000, 'a')}}})
                .substr(0, 20),
            "'steps[1]': the text");
  EXPECT_EQ(
      Fault({{{"generate", "x"}, {"response_format", {{"type", "json_schema"}}}}}).substr(0, 11),
      "'steps[0]':");
  EXPECT_EQ(Fault({{{"select", "x"}, {"choices", {std::string(300, 'a')}}}}).substr(0, 24),
            "'steps[0]': the choice '");
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "{v}";
  EXPECT_EQ(Refused(400, kPrograms,
                    DumpJson({{"prompt", "a"},
                              {"variables", {{"v", std::string(1000, 'v')}}},
                              {"steps", {{{"text", many}}}}}))["message"],
            "'steps[0]': the text with its variables has more than 4194304 bytes");
  EXPECT_TRUE(EventuallyIdle());
}

Json Branch(const char* name, int count, Json steps) {
  return {{"branch", name}, {"count", count}, {"steps", std::move(steps)}};
}

// What a program comes to is counted as it is read, before anything is made of it.
TEST_F(ProgramTest, LimitsAreThoseOfAllBranches) {
  Start();
  const Json said = {{"generate", "x"}, {"max_tokens", 1}};
  Json letters = Json::array();
  for (int i = 0; i < 100; ++i)
    letters.push_back(std::string(1, static_cast<char>('!' + i % 90)) + std::to_string(i));
  EXPECT_EQ(
      Fault({{{"generate", std::string(65, 'n')}}}),
      "'steps[0].generate' must be a name of up to 64 letters, digits and '_' that begins with "
      "no digit");
  Json many = Json::array();
  for (int i = 0; i < 17; ++i) many.push_back({{"text", "a"}});
  EXPECT_EQ(
      Fault(Json::array({Branch("b", 64, many)})),
      "'steps[0].steps[15]' brings the program's steps to 1025, all branches together; it may "
      "have 1024");
  EXPECT_EQ(
      Fault(Json::array({Branch("b", 11, {{{"select", "x"}, {"choices", letters}}})})),
      "'steps[0].steps[0]' brings the program's choices to 1100, all branches together; it may "
      "have 1024");
  std::string names;
  for (int i = 0; i < 1025; ++i) names += "{x}";
  EXPECT_EQ(Fault({Branch("b", 64, Json::array({said})), {{"gather", "b"}, {"text", names}}}),
            "'steps[1].text' brings the program's references to variables to 65600, all branches "
            "together; it may have 65536");
  Json each = Json::object();
  for (int i = 0; i < 257; ++i) each[Cat("v", i)] = Json::array({"a"});
  EXPECT_EQ(Fault({{{"branch", "b"}, {"each", each}, {"steps", {said}}}}),
            "'steps[0].each' must have at most 256 variables");
}

// A gather finds the branches of an outer line, each branch of them, and only what all have.
TEST_F(ProgramTest, GathersCountTheBranchesOfAnyLine) {
  Start();
  const Json pick = {{"select", "v"}, {"choices", {"p", "q"}}};
  const Json inner = {{"gather", "checks"}, {"text", "<{v}>"}};
  const Json answer =
      Run({{"prompt", "a"},
           {"steps",
            {Branch("checks", 2, Json::array({pick})), Branch("more", 1, Json::array({inner}))}}});
  ASSERT_TRUE(answer.contains("steps")) << answer;
  std::string gathered;
  for (const Json& branch : answer["steps"][0]["branches"])
    gathered += Cat("<", branch["steps"][0]["text"].get<std::string>(), ">");
  EXPECT_EQ(answer["steps"][1]["branches"][0]["text"], gathered);

  const Json shadowed = Run(
      {{"prompt", "a"},
       {"variables", {{"w", "outer"}}},
       {"steps",
        {{{"branch", "checks"}, {"each", {{"v", {"one", "two"}}}}, {"steps", {{{"text", "a"}}}}},
         {{"branch", "more"},
          {"each", {{"v", Json::array({"wrong"})}}},
          {"steps", {{{"gather", "checks"}, {"text", "{v}{w} "}}}}}}}});
  EXPECT_EQ(shadowed["steps"][1]["branches"][0]["text"], "oneouter twoouter ") << shadowed;

  const Json text = {{"text", "a"}};
  const Json uneven = {{"branch", "b"}, {"branches", {Json::array({text}), Json::array({pick})}}};
  EXPECT_EQ(Fault({uneven, {{"gather", "b"}, {"text", "{v}"}}}),
            "'steps[1].text' names 'v', which no step before has made");
  EXPECT_EQ(Run({{"prompt", "a"}, {"steps", {uneven, {{"gather", "b"}, {"text", "-"}}}}})["text"],
            "--");
}

TEST_F(ProgramTest, SampledIdsAreCheckedBeforeTheEngineHasThem) {
  Start();
  EXPECT_EQ(
      Fault({{{"generate", "x"}, {"stop_token_ids", {100000}}}}),
      Cat("'steps[0]': 'stop_token_ids' has the token 100000, which is not within the vocabulary "
          "of ",
          model_->config.vocab));
}

// One place is enough for a program of any width, and choices need none of those who generate.
TEST_F(ProgramTest, NeedsOnePlaceOnly) {
  MakeEndless();
  options_.engine.parallel = 1;
  options_.queue = 1;
  Start();
  RawClient client(server_->port());
  client.Send(Endless(true));
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 1; }));
  const Json answer =
      Run({{"prompt", "Is it"},
           {"steps", {{{"select", "x"}, {"choices", {" red", " green", " blue"}}}}}});
  EXPECT_TRUE(answer.contains("variables")) << answer;
  EXPECT_EQ(server_->counts().live, 1);
}

// Pieces beside the first one have places while they are under way, and no longer.
TEST_F(ProgramTest, PlacesAreFreeAgainBehindTheirPieces) {
  MakeEndless();
  options_.engine.parallel = 1;
  options_.queue = 3;
  Start();
  Json letters = Json::array();
  for (int i = 0; i < 40; ++i) letters.push_back(std::string(1, static_cast<char>('0' + i)));
  RawClient program(server_->port());
  program.Send(Post(
      kPrograms,
      DumpJson({{"prompt", "go"},
                {"steps",
                 {{{"select", "one"}, {"choices", letters}},
                  Branch("b", 4, {{{"generate", "x"}, {"max_tokens", 2}, {"ignore_eos", true}}}),
                  {{"generate", "y"}, {"max_tokens", 20000}, {"ignore_eos", true}}}}})));
  // The prompt's tokens are those of one stream for all choices, four branches, and what follows.
  ASSERT_TRUE(Eventually(
      [](const EngineCounts& c) { return c.generated_tokens > 4 * 2 + 1 && c.live == 1; }));
  std::vector<std::unique_ptr<RawClient>> others;
  others.reserve(3);
  for (int i = 0; i < 3; ++i) {
    others.push_back(std::make_unique<RawClient>(server_->port()));
    others.back()->Send(Endless(true));
  }
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live + c.queued == 4; }));
}

// Tokens under way are the client's, who has gone.
TEST_F(ProgramTest, TokensUnderWayAreCharged) {
  MakeEndless();
  const TemporaryFolder folder;
  options_.log.file = folder.path() / "log";
  Start();
  {
    RawClient client(server_->port());
    client.Send(Post(kPrograms, R"({"prompt": "go", "steps": [
        {"generate": "x", "max_tokens": 20000, "ignore_eos": true}]})"));
    ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.generated_tokens > 5; }));
  }
  ASSERT_TRUE(EventuallyIdle());
  Stop();
  const Json line = ParseJson(ReadText(options_.log.file), "log");
  EXPECT_EQ(line["status"], 499);
  EXPECT_EQ(line["prompt_tokens"], 4);
  EXPECT_GT(line["completion_tokens"].get<int>(), 4);
}

TEST_F(ProgramTest, ALogOfTextsHasTheBeginningAndWhatIsSaid) {
  const TemporaryFolder folder;
  options_.log = {folder.path() / "log", 1, true};
  Start();
  const Json answer = Run({{"prompt", "Ticket: {t}"},
                           {"variables", {{"t", "lost card"}}},
                           {"steps",
                            {{{"select", "x"}, {"choices", {" yes", " no"}}},
                             {{"generate", "y"}, {"max_tokens", 3}}}}});
  Stop();
  const Json line = ParseJson(ReadText(options_.log.file), "log");
  EXPECT_EQ(line["prompt"], "Ticket: lost card");
  EXPECT_EQ(line["answers"].size(), 1u) << "selections say nothing themselves: " << line;
  EXPECT_EQ(line["answers"][0], answer["variables"]["y"]);
  EXPECT_EQ(line["text"], answer["text"]);
}

TEST_F(ProgramTest, PiecesThatReadTheirOwnPromptsAreFewer) {
  const std::string text(static_cast<size_t>(model_->config.max_positions) - 30, 'x');
  Json steps = Json::array();
  for (int i = 0; i < 24; ++i) steps.push_back({{"select", Cat("q", i)}, {"choices", {"a", "b"}}});
  const std::string program = DumpJson({{"prompt", text}, {"steps", steps}});
  Start();
  EXPECT_TRUE(AskJson(Post(kPrograms, program)).contains("steps"));
  Stop();
  for (const int64_t kept : {0, 1}) {  // nothing, and as good as nothing
    options_.engine.kept_tokens = kept;
    Start();
    const std::string message = Refused(400, kPrograms, program)["message"];
    EXPECT_NE(message.find("the program's pieces have more than 16 contexts of tokens"),
              std::string::npos)
        << message;
    Stop();
  }
}

TEST_F(ProgramTest, AClientThatGoesEndsItsProgram) {
  MakeEndless();
  Start();
  {
    RawClient client(server_->port());
    client.Send(Post(kPrograms, R"({"prompt": "go", "steps": [{"branch": "b", "count": 3, "steps": [
        {"generate": "x", "max_tokens": 20000}, {"text": "on"}]}]})"));
    ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live > 0; }));
  }
  EXPECT_TRUE(EventuallyIdle());
}

}  // namespace
}  // namespace retort
