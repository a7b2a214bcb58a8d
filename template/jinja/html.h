// SPDX-License-Identifier: Apache-2.0
// Escaping for HTML, which Jinja does to what is added to a text marked as `safe`.
#pragma once

#include "template/jinja/text.h"

namespace retort::jinja {

// &, <, >, " and ' as &amp; and so on; marked as safe.
Text Escaped(const Text& text);
// Without tags and comments, white space as single spaces, entities as characters.
Text WithoutTags(const Text& text);

}  // namespace retort::jinja
