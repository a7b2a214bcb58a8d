// SPDX-License-Identifier: Apache-2.0
#include "runner/server/page.h"

#include <span>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/strings.h"

namespace retort {
namespace {

// What the policy allows of the page's inline texts: the one of this element, by its hash.
std::string SourceOf(std::string_view element) {
  const std::string begin = Cat("<", element, ">"), end = Cat("</", element, ">");
  const size_t from = kPageText.find(begin) + begin.size();
  Sha256Sum sum;
  sum.Add(std::as_bytes(std::span(kPageText.substr(from, kPageText.find(end, from) - from))));
  return Cat("'sha256-", Base64(sum.Digest()), "'");
}

std::string Policy() {
  return Cat("default-src 'none'; script-src ", SourceOf("script"), "; style-src ",
             SourceOf("style"),
             "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
}

}  // namespace

HttpAnswer PageAnswer() {
  static const std::string policy = Policy();
  return {200,
          std::string(kPageText),
          "text/html; charset=utf-8",
          {{"Content-Security-Policy", policy},
           {"X-Content-Type-Options", "nosniff"},
           {"Referrer-Policy", "no-referrer"},
           {"Cross-Origin-Opener-Policy", "same-origin"},
           {"Cache-Control", "no-cache"}}};
}

}  // namespace retort
