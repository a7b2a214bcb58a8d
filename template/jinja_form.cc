// SPDX-License-Identifier: Apache-2.0
#include "template/jinja_form.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/file.h"
#include "base/strings.h"
#include "template/jinja_tokens.h"

namespace retort {
namespace {

constexpr int kMostBrackets = 8;              // around a sum of terms
constexpr size_t kLongest = size_t{1} << 18;  // no model's text is near it

// Names that the caller of a template gives it; a template's own variables are renamed.
bool IsGiven(std::string_view name) {
  static constexpr std::array kGiven = {"messages",  "add_generation_prompt",
                                        "bos_token", "eos_token",
                                        "tools",     "documents",
                                        "loop",      "raise_exception",
                                        "namespace", "range",
                                        "true",      "false",
                                        "none",      "True",
                                        "False",     "None"};
  return std::ranges::find(kGiven, name) != kGiven.end();
}

// `message['role']` as `message.role`. Only for these two keys: a dict has methods of other names.
JinjaTokens WithDots(const JinjaTokens& in) {
  JinjaTokens out;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool follows_value = i > 0 && (in[i - 1].kind == JinjaToken::Kind::kName ||
                                         in[i - 1].Is(")") || in[i - 1].Is("]"));
    if (follows_value && in[i].Is("[") && i + 2 < in.size() && in[i + 2].Is("]") &&
        in[i + 1].kind == JinjaToken::Kind::kString &&
        (in[i + 1].text == "role" || in[i + 1].text == "content")) {
      out.push_back({JinjaToken::Kind::kOperator, "."});
      out.push_back({JinjaToken::Kind::kName, in[i + 1].text});
      i += 2;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

size_t ClosingBracket(const JinjaTokens& tokens, size_t open) {
  int depth = 0;
  for (size_t i = open; i < tokens.size(); ++i) {
    depth += tokens[i].Opens() - tokens[i].Closes();
    if (depth == 0) return i;
  }
  return tokens.size();
}

// raise_exception('...') without its words, which are never part of a prompt.
JinjaTokens WithoutExceptionWords(const JinjaTokens& in) {
  JinjaTokens out;
  for (size_t i = 0; i < in.size(); ++i) {
    out.push_back(in[i]);
    if (!in[i].Is("raise_exception") || i + 1 >= in.size() || !in[i + 1].Is("(")) continue;
    i = ClosingBracket(in, i + 1);
  }
  return out;
}

// Whether printing the terms between the top-level + and ~ one after another prints the same.
bool IsSum(const JinjaTokens& tokens) {
  static constexpr std::array kLoose = {"if", "else", "and", "or", "not", "in", "is",
                                        "==", "!=",   "<",   ">",  "<=",  ">=", "-",
                                        "*",  "/",    "//",  "%",  "**",  ":",  ","};
  int depth = 0;
  for (const JinjaToken& t : tokens) {
    depth += t.Opens() - t.Closes();
    if (depth == 0 && t.kind != JinjaToken::Kind::kString &&
        std::ranges::find(kLoose, t.text) != kLoose.end())
      return false;
  }
  return true;
}

class Former {
 public:
  void Text(std::string_view text) { Add(JinjaPart::Kind::kText, std::string(text)); }

  void Output(const JinjaTokens& tokens, int brackets = 0) {
    if (brackets > kMostBrackets || !IsSum(tokens))
      return Add(JinjaPart::Kind::kOutput, Written(tokens));
    int depth = 0;
    JinjaTokens term;
    const auto end_term = [&] {
      if (term.size() == 1 && term[0].kind == JinjaToken::Kind::kString) {
        Text(term[0].text);
      } else if (!term.empty() && term[0].Is("(") && ClosingBracket(term, 0) + 1 == term.size()) {
        Output({term.begin() + 1, term.end() - 1}, brackets + 1);
      } else if (!term.empty()) {
        Add(JinjaPart::Kind::kOutput, Written(term));
      }
      term.clear();
    };
    for (const JinjaToken& t : tokens) {
      depth += t.Opens() - t.Closes();
      if (depth == 0 && (t.Is("+") || t.Is("~")))
        end_term();
      else
        term.push_back(t);
    }
    end_term();
  }

  void Statement(const JinjaTokens& tokens) {
    if (tokens.empty() || tokens[0].Is("generation") || tokens[0].Is("endgeneration")) return;
    if (tokens[0].Is("for") || tokens[0].Is("set")) Declare(tokens);
    Add(JinjaPart::Kind::kStatement, Written(tokens));
  }

  std::vector<JinjaPart> Take() { return std::move(parts_); }

 private:
  void Add(JinjaPart::Kind kind, std::string text) {
    if (text.empty()) return;
    if (kind == JinjaPart::Kind::kText && !parts_.empty() && parts_.back().kind == kind)
      parts_.back().text += text;
    else
      parts_.push_back({kind, std::move(text)});
  }

  // for NAME, NAME in ...; set NAME = ...; set NAME; but not set NAME.FIELD = ...
  void Declare(const JinjaTokens& tokens) {
    for (size_t i = 1; i < tokens.size() && !tokens[i].Is("in") && !tokens[i].Is("="); ++i) {
      const bool field = (i + 1 < tokens.size() && tokens[i + 1].Is(".")) || tokens[i - 1].Is(".");
      if (tokens[i].kind == JinjaToken::Kind::kName && !field && !IsGiven(tokens[i].text))
        names_.emplace(tokens[i].text, Cat("v", names_.size()));
    }
  }

  // With the template's own names replaced by the order in which it sets them.
  std::string Written(const JinjaTokens& tokens) const {
    std::string out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const JinjaToken& t = tokens[i];
      const bool field = i > 0 && tokens[i - 1].Is(".");
      const bool argument = i > 1 && i + 1 < tokens.size() && tokens[i + 1].Is("=");
      const auto own = names_.find(t.text);
      const bool renamed =
          t.kind == JinjaToken::Kind::kName && !field && !argument && own != names_.end();
      if (!out.empty()) out += ' ';
      out += renamed ? own->second : t.Written();
    }
    return out;
  }

  std::map<std::string, std::string, std::less<>> names_;
  std::vector<JinjaPart> parts_;
};

}  // namespace

std::optional<std::vector<JinjaPart>> JinjaParts(std::string_view jinja) {
  Former former;
  if (jinja.size() > kLongest) return std::nullopt;
  const auto tags = JinjaTags(jinja);
  if (!tags) return std::nullopt;
  for (const JinjaTag& tag : *tags) {
    const JinjaTokens tokens = WithoutExceptionWords(WithDots(tag.tokens));
    switch (tag.kind) {
      case JinjaTag::Kind::kText:
        former.Text(tag.text);
        break;
      case JinjaTag::Kind::kOutput:
        former.Output(tokens);
        break;
      case JinjaTag::Kind::kStatement:
        if (!tokens.empty() && tokens[0].Is("raw")) return std::nullopt;
        former.Statement(tokens);
        break;
    }
  }
  return former.Take();
}

std::string JinjaSum(const std::vector<JinjaPart>& parts) {
  std::string all;
  for (const JinjaPart& part : parts) {
    all += Cat("TOS"[static_cast<int>(part.kind)], " ", part.text.size(), " ", part.text, "\n");
  }
  return Sha256(all);
}

}  // namespace retort
