
// SPDX-License-Identifier: Apache-2.0
// Text of the model, whose tokens tell their probability when they are pointed at. It becomes text
// nodes only, never HTML.

const tokensOf = new WeakMap();  // an element of class "token" to its tokens, as the API tells them

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function tokenSpan(text, tokens) {
  const span = element('span', 'token', text);
  if (tokens.length > 0) {
    tokensOf.set(span, tokens);
    span.dataset.told = '';
    const least = Math.min(...tokens.map((token) => token.logprob ?? 0));
    span.style.setProperty('--p', Math.exp(least).toFixed(3));
  }
  return span;
}

// A span for each token, or one for all where the text is not just theirs: a character of several
// tokens, marks that are not shown, the beginning of a stop text.
function appendText(place, text, tokens) {
  const each = tokens.map((token) => token.token).join('') === text;
  if (each) place.append(...tokens.map((token) => tokenSpan(token.token, [token])));
  else if (text) place.append(tokenSpan(text, tokens));
}

function percent(logprob) {
  const p = 100 * Math.exp(logprob);
  return p > 0 && p < 0.1 ? '<0.1 %' : `${p.toFixed(p < 99.95 ? 1 : 0)} %`;
}

// With quotes and escapes, so that white space shows. Bytes that are no text are spelt in digits.
function spelt({ token, bytes }) {
  if (!token.includes('\ufffd') || !bytes) return JSON.stringify(token);
  return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

function tipRow(token, taken) {
  const row = element('tr', taken ? 'taken' : '');
  const bar = element('i');
  bar.style.width = `${100 * Math.exp(token.logprob ?? 0)}%`;
  const told = token.logprob === null ? '' : percent(token.logprob);
  row.append(element('td', '', spelt(token)), element('td', '', told), element('td'));
  row.lastChild.append(bar);
  return row;
}

// The likeliest tokens at this place, with the one that was taken.
function tipTable(token) {
  const table = element('table');
  const same = (other) => String(other.bytes) === String(token.bytes);
  const likeliest = token.top_logprobs ?? [];
  table.append(...likeliest.map((other) => tipRow(other, same(other))));
  if (!likeliest.some(same)) table.append(tipRow(token, true));
  return table;
}

function showTip(span) {
  hideTip();
  const tip = at('tip');
  tip.replaceChildren(...tokensOf.get(span).map(tipTable));
  tip.hidden = false;
  span.classList.add('chosen');
  const place = span.getBoundingClientRect();
  const below = place.bottom + 6, above = place.top - tip.offsetHeight - 6;
  const left = Math.min(place.left, innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${below + tip.offsetHeight < innerHeight || above < 0 ? below : above}px`;
}

function hideTip() {
  at('tip').hidden = true;
  for (const span of document.querySelectorAll('.token.chosen')) span.classList.remove('chosen');
}

// A pointer that hovers, or a tap.
for (const kind of ['pointerover', 'click']) {
  at('talk').addEventListener(kind, (event) => {
    const span = event.target.closest('.token');
    if (span && tokensOf.has(span)) showTip(span);
    else hideTip();
  });
}
at('talk').addEventListener('pointerleave', hideTip);
at('talk').addEventListener('scroll', hideTip);
