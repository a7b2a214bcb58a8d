// SPDX-License-Identifier: Apache-2.0
// Prints the tables of tokenizer/unicode_tables.inc; run by scripts/unicode-tables.
import {readdirSync} from 'node:fs';

const kCodes = 0x110000;
// Unicode's categories, in the order of kCategoryNames in tokenizer/unicode.cc.
const kCategories = {
  Unassigned: 'Cn', Control: 'Cc', Format: 'Cf', Private_Use: 'Co', Surrogate: 'Cs',
  Uppercase_Letter: 'Lu', Lowercase_Letter: 'Ll', Titlecase_Letter: 'Lt', Modifier_Letter: 'Lm',
  Other_Letter: 'Lo', Nonspacing_Mark: 'Mn', Spacing_Mark: 'Mc', Enclosing_Mark: 'Me',
  Decimal_Number: 'Nd', Letter_Number: 'Nl', Other_Number: 'No', Connector_Punctuation: 'Pc',
  Dash_Punctuation: 'Pd', Open_Punctuation: 'Ps', Close_Punctuation: 'Pe',
  Initial_Punctuation: 'Pi', Final_Punctuation: 'Pf', Other_Punctuation: 'Po', Math_Symbol: 'Sm',
  Currency_Symbol: 'Sc', Modifier_Symbol: 'Sk', Other_Symbol: 'So', Space_Separator: 'Zs',
  Line_Separator: 'Zl', Paragraph_Separator: 'Zp',
};

const packageOf = (version) => new URL(`node_modules/@unicode/unicode-${version}/`, import.meta.url);
const load = async (version, path) =>
    (await import(new URL(path, packageOf(version)))).default;

// A number for each code: the index of the property's value that holds it.
const valuesOf = async (version, property, names) => {
  const values = new Uint8Array(kCodes);
  for (const [index, name] of names.entries()) {
    if (!name) continue;
    for (const {begin, end} of await load(version, `${property}/${name}/ranges.mjs`)) {
      values.fill(index, begin, end);
    }
  }
  return values;
};

// [first code, value] wherever the value changes.
const runs = (values) => {
  const out = [];
  for (let code = 0; code < kCodes; ++code) {
    if (code === 0 || values[code] !== values[code - 1]) out.push([code, values[code]]);
  }
  return out;
};
// [first, last] of the codes for which `holds`.
const ranges = (holds) => {
  const out = [];
  for (let code = 0; code < kCodes; ++code) {
    if (!holds(code)) continue;
    if (out.length && out.at(-1)[1] === code - 1) {
      out.at(-1)[1] = code;
    } else {
      out.push([code, code]);
    }
  }
  return out;
};

const hex = (code) => `0x${code.toString(16).toUpperCase()}`;
const print = (comment, declaration, entries) =>
    console.log(`\n// ${comment}\nconstexpr ${declaration}[] = {${entries.join(', ')}};`);
const printRanges = (comment, name, list) =>
    print(comment, `CodeRange ${name}`, list.map(([first, last]) => `{${hex(first)}, ${hex(last)}}`));

const names = Object.keys(kCategories);
const [eight, nine, before, now, next] = [
  await valuesOf('8.0.0', 'General_Category', names),
  await valuesOf('9.0.0', 'General_Category', names),
  await valuesOf('14.0.0', 'General_Category', names),
  await valuesOf('16.0.0', 'General_Category', names),
  await valuesOf('17.0.0', 'General_Category', names),
];

const folderOf = (version) => readdirSync(new URL('Script/', packageOf(version))).filter((name) => !name.includes('.'));
const scripts = folderOf('16.0.0').sort();
const known = folderOf('14.0.0');
const script = await valuesOf('16.0.0', 'Script', ['', ...scripts]);
const scriptBefore =
    await valuesOf('14.0.0', 'Script', ['', ...scripts.map((name) => (known.includes(name) ? name : ''))]);

// Lower cases as runs of equal distances: [first, last, step, distance].
const lower = [];
for (const [from, to] of [...await load('17.0.0', 'Simple_Case_Mapping/Lowercase/code-points.mjs')].sort(
         ([a], [b]) => a - b)) {
  const run = lower.at(-1), distance = to - from;
  if (run && run[3] === distance && from - run[1] <= 2 && (run[0] === run[1] || run[2] === from - run[1])) {
    run[2] = from - run[1];
    run[1] = from;
  } else {
    lower.push([from, from, 1, distance]);
  }
}

console.log(`// SPDX-License-Identifier: Apache-2.0
// Written by scripts/unicode-tables from the npm packages @unicode/unicode-VERSION (MIT), which hold
// Unicode's data (Unicode-3.0).`);
print('Unicode 16: where each run of codes of one category begins, times 32, plus the category.',
      'uint32_t kCategoryRuns', runs(now).map(([code, value]) => hex(code * 32 + value)));
print('Unicode 16: the names of the scripts.', 'const char* kScriptNames',
      ['""', ...scripts.map((name) => `"${name}"`)]);
print('Unicode 16: where each run of codes of one script begins, times 256, plus its name\'s index.',
      'uint32_t kScriptRuns', runs(script).map(([code, value]) => hex(code * 256 + value)));
printRanges('Codes whose category or script differs between Unicode 14 and 16.', 'kSinceUnicode14',
            ranges((code) => before[code] !== now[code] || scriptBefore[code] !== script[code]));
printRanges('Codes that Unicode 9 does not have.', 'kSinceUnicode9',
            ranges((code) => nine[code] === 0 && (now[code] !== 0 || next[code] !== 0)));
const is = (letter, values, code) => kCategories[names[values[code]]].startsWith(letter);
printRanges('Marks of Unicode 9.', 'kMarksOfUnicode9', ranges((code) => is('M', nine, code)));
printRanges('Punctuation of Unicode 8.', 'kPunctuationOfUnicode8', ranges((code) => is('P', eight, code)));
printRanges('Numbers that Unicode 17 adds.', 'kNumbersOfUnicode17',
            ranges((code) => is('N', next, code) && !is('N', now, code)));
const alphabetic = new Set();
for (const {begin, end} of await load('16.0.0', 'Binary_Property/Alphabetic/ranges.mjs')) {
  for (let code = begin; code < end; ++code) alphabetic.add(code);
}
printRanges('Unicode 16: alphabetic characters that are neither letters nor letter numbers.', 'kOtherAlphabetic',
            ranges((code) => alphabetic.has(code) &&
                !['Lu', 'Ll', 'Lt', 'Lm', 'Lo', 'Nl'].includes(kCategories[names[now[code]]])));
print('Unicode 17: runs of codes with the same distance to their lower case.', 'CaseRun kLowerCases',
      lower.map(([first, last, step, distance]) => `{${hex(first)}, ${hex(last)}, ${step}, ${distance}}`));
