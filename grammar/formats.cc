// SPDX-License-Identifier: Apache-2.0
#include "grammar/formats.h"

#include <string>
#include <unordered_map>

namespace retort {
namespace {

// Days that every month has, and those that some have; 29 February in leap years.
#define RETORT_DATE                                                 \
  "([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"                \
  "|[0-9]{4}-(0[13-9]|1[0-2])-(29|30)|[0-9]{4}-(0[13578]|1[02])-31" \
  "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
#define RETORT_TIME \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define RETORT_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define RETORT_IPV4 RETORT_BYTE "(\\." RETORT_BYTE "){3}"
// Hyphens stand alone within a label, since two of them begin a name in another script (RFC 5890,
// 2.3.1). A label has 63 bytes at most and a name 253 (RFC 1123), so many labels are short ones.
#define RETORT_LABEL "([A-Za-z0-9](-?[A-Za-z0-9]){0,31}|[A-Za-z0-9]{33,63})"
#define RETORT_SHORT_LABEL "[A-Za-z0-9](-?[A-Za-z0-9]){0,14}"
#define RETORT_HOST                    \
  "(" RETORT_LABEL "(\\." RETORT_LABEL \
  "){0,2}"                             \
  "|" RETORT_SHORT_LABEL "(\\." RETORT_SHORT_LABEL "){3,7})"
#define RETORT_HEX "[0-9A-Fa-f]{1,4}"
#define RETORT_DURATION_TIME "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
#define RETORT_DURATION_DATE "([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
#define RETORT_URI_CHARACTER "([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"

const std::unordered_map<std::string_view, const char*>& Formats() {
  static const auto* formats = new std::unordered_map<std::string_view, const char*>{
      {"date", RETORT_DATE},
      {"time", RETORT_TIME},
      {"date-time", RETORT_DATE "T" RETORT_TIME},
      {"duration",
       "P(" RETORT_DURATION_DATE "(" RETORT_DURATION_TIME ")?|" RETORT_DURATION_TIME "|[0-9]+W)"},
      {"email",  // 64 bytes before the @ (RFC 5321, 4.5.3.1.1)
       "([A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30})?"
       "|[A-Za-z0-9_+-]{1,15}(\\.[A-Za-z0-9_+-]{1,15}){2,3})@" RETORT_HOST},
      {"hostname", RETORT_HOST},
      {"ipv4", RETORT_IPV4},
      {"ipv6",
       "(" RETORT_HEX ":){7}" RETORT_HEX "|(" RETORT_HEX ":){1,7}:|:(:" RETORT_HEX "){1,7}|::"
       "|" RETORT_HEX ":(:" RETORT_HEX "){1,6}"
       "|(" RETORT_HEX ":){2}(:" RETORT_HEX "){1,5}"
       "|(" RETORT_HEX ":){3}(:" RETORT_HEX "){1,4}"
       "|(" RETORT_HEX ":){4}(:" RETORT_HEX "){1,3}"
       "|(" RETORT_HEX ":){5}(:" RETORT_HEX "){1,2}"
       "|(" RETORT_HEX ":){6}:" RETORT_HEX "|::([Ff]{4}:)?" RETORT_IPV4},
      {"uri",
       "[A-Za-z][A-Za-z0-9+.-]*:(//" RETORT_HOST "(:[0-9]{1,5})?(/" RETORT_URI_CHARACTER
       "*)?|(//)?/([A-Za-z0-9._~-]" RETORT_URI_CHARACTER "*)?|[A-Za-z0-9]" RETORT_URI_CHARACTER
       "*)(\\?(" RETORT_URI_CHARACTER "|\\?)*)?(#(" RETORT_URI_CHARACTER "|\\?)*)?"},
      {"uuid", "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"},
      {"json-pointer", "(/([^~/]|~[01])*)*"},
      {"idn-email", ""},
      {"idn-hostname", ""},
      {"iri", ""},
      {"iri-reference", ""},
      {"uri-reference", ""},
      {"uri-template", ""},
      {"relative-json-pointer", ""},
      {"regex", ""}};
  return *formats;
}

}  // namespace

const char* FormatRegex(std::string_view name) {
  const auto at = Formats().find(name);
  return at == Formats().end() ? nullptr : at->second;
}

}  // namespace retort
