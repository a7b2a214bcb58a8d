// SPDX-License-Identifier: Apache-2.0
#include "train/html_page.h"

#include "base/strings.h"
#include "train/plot.h"

namespace retort {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;
--ink:#1c2430;--soft:#667085;--line:#e3e7ee;--paper:#fff;--tile:#f5f7fa;--bar:#9db7e0}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#2b3340;--paper:#12161d;--tile:#1a202a;--bar:#3d5a8a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:860px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
p{color:var(--soft);margin:.2rem 0 1.2rem}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:0 0 1.5rem}
.tiles div{background:var(--tile);border-radius:6px;padding:.5rem .8rem;flex:1 1 9rem}
.tiles b{display:block;font-size:1.15rem;font-weight:600}
.tiles span{color:var(--soft);font-size:.85rem}
figure{margin:0 0 1.5rem}
figcaption{font-weight:600}
figcaption span{font-weight:400;font-size:.85rem;margin-left:.8rem}
svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}.grid{stroke:var(--line)}
.mark{stroke:var(--soft);stroke-dasharray:3 3}
svg text.value{fill:var(--ink)}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}
th{font-weight:500;color:var(--soft)}
.named th{width:14rem}
.samples td,.samples th{width:25%;white-space:pre-wrap}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{width:60%}.bar i{display:block;height:.8rem;margin-top:.35rem;background:var(--bar)}
li{font-size:.9rem})";

}  // namespace

std::string HtmlPage(const std::string& title, const std::string& status, const std::string& head,
                     const std::string& body) {
  return Cat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">",
      head, "<title>", EscapedHtml(title), "</title><style>", kStyle, "</style></head><body>\n<h1>",
      EscapedHtml(title), "</h1><p>", EscapedHtml(status), "</p>\n", body, "</body></html>\n");
}

}  // namespace retort
