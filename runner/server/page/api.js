
// SPDX-License-Identifier: Apache-2.0
'use strict';

// The server's API: requests with the client's key, and answers as they come.

const KEY_NAME = 'retort-key';
const SENDABLE = /^[\x20-\x7e]+$/;  // in a header
const at = (id) => document.getElementById(id);

// Resolves when a key has been given. All requests that need one wait for the same question.
let asking = null;
function askForKey(why) {
  asking ??= new Promise((resolve) => {
    at('key-why').textContent = why;
    at('key').value = '';
    at('key-dialog').showModal();
    at('key-form').onsubmit = (event) => {
      event.preventDefault();
      const key = at('key').value.trim();
      if (!SENDABLE.test(key)) {
        at('key-why').textContent = 'A key has ASCII characters only.';
        return;
      }
      sessionStorage.setItem(KEY_NAME, key);
      at('key-dialog').close();
      resolve();
    };
  }).finally(() => { asking = null; });
  return asking;
}
// Nothing can be asked without a key, so Esc does not close the question. A browser need not obey
// that more than once, so a question that was closed comes back.
at('key-dialog').addEventListener('cancel', (event) => event.preventDefault());
at('key-dialog').addEventListener('close', () => {
  if (asking && !at('key-dialog').open) at('key-dialog').showModal();
});

async function faultOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `the server answered with status ${response.status}`;
  }
}

// A GET, or a POST of `body` as JSON. Throws an Error with the server's message.
async function ask(path, body, signal) {
  for (;;) {
    const key = sessionStorage.getItem(KEY_NAME);
    const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
    if (body) headers['Content-Type'] = 'application/json';
    const response = await fetch(path, {
      method: body ? 'POST' : 'GET', headers, signal, cache: 'no-store', credentials: 'same-origin',
      body: body && JSON.stringify(body),
    });
    if (response.ok) return response;
    if (response.status !== 401) throw new Error(await faultOf(response));
    if (sessionStorage.getItem(KEY_NAME) !== key) continue;  // another request has asked meanwhile
    await askForKey(key === null ? 'This server asks for a key.'
                                 : 'The server does not know this key.');
  }
}

// The JSON objects of a stream of events. Throws on the server's error event and on a stream that
// was cut off.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('the answer was cut off');
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith('data: ')) continue;  // a comment, while the server waits
      if (part === 'data: [DONE]') return;
      const event = JSON.parse(part.slice(6));
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}
