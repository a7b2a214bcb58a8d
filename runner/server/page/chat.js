
// SPDX-License-Identifier: Apache-2.0
// The conversation: questions, and their answers as they come.

let exchanges = [];  // { question, answer, thought, fault, place, ... }, oldest first
let running = null;  // the AbortController of the answer that is being generated

// Without exchanges that failed before the model said anything: many templates want turns to
// alternate.
function messagesOf() {
  const messages = [];
  if (at('system').value.trim()) messages.push({ role: 'system', content: at('system').value });
  exchanges.forEach((exchange, index) => {
    const last = index === exchanges.length - 1;
    if (!last && !exchange.answer) return;
    messages.push({ role: 'user', content: exchange.question });
    if (!last) messages.push({ role: 'assistant', content: exchange.answer });
  });
  return messages;
}

function button(label, onclick) {
  const made = element('button', '', label);
  Object.assign(made, { type: 'button', onclick });
  return made;
}

async function copyText(text, told) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // browsers keep the clipboard from pages without TLS
    const area = element('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  told.textContent = 'Copied';
  setTimeout(() => { told.textContent = 'Copy'; }, 1200);
}

function addExchange(question) {
  const place = element('article');
  place.append(element('div', 'question', question));
  at('hint').hidden = true;
  at('talk').append(place);
  return { question, place };
}

// Empties the exchange's answer. The last one alone can be tried again.
function beginAnswer(exchange) {
  Object.assign(exchange, { answer: '', thought: '', fault: '', began: performance.now() });
  const { place } = exchange;
  while (place.children.length > 1) place.lastChild.remove();
  exchange.text = element('div', 'answer');
  place.append(exchange.text);
  place.classList.add('busy');
  for (const retry of document.querySelectorAll('.retry')) retry.remove();
}

function addThought(exchange, text) {
  if (!exchange.thought) {
    const details = element('details', 'thought');
    details.append(element('summary', '', 'Thought'), element('div'));
    exchange.text.before(details);
  }
  exchange.thought += text;
  exchange.place.querySelector('.thought div').append(text);
}

function takeEvent(exchange, event) {
  if (event.usage) exchange.usage = event.usage;
  if (event.timings) exchange.timings = event.timings;
  const choice = event.choices[0];
  if (!choice) return;
  if (choice.finish_reason) exchange.finish = choice.finish_reason;
  const { content, reasoning_content: thought } = choice.delta;
  if (content || thought) exchange.first ??= performance.now();
  if (thought) addThought(exchange, thought);
  if (content) {
    exchange.answer += content;
    appendText(exchange.text, content, choice.logprobs?.content ?? []);
  }
}

// "42 tokens, 31.0 tokens/s, first after 85 ms, ended at the limit of tokens"
function statsOf({ usage, timings, began, first, finish, fault }) {
  const told = [];
  if (usage) told.push(`${usage.completion_tokens} tokens`);
  if (timings?.predicted_per_second > 0)
    told.push(`${timings.predicted_per_second.toFixed(1)} tokens/s`);
  if (first) told.push(`first after ${seconds((first - began) / 1000)}`);
  if (finish === 'length') told.push('ended at the limit of tokens');
  if (finish === 'stopped') told.push('stopped');
  return fault ? '' : told.join(' · ');
}

function endAnswer(exchange) {
  const { place } = exchange;
  place.classList.remove('busy');
  if (exchange.fault) place.append(element('p', 'fault', exchange.fault));
  const footer = element('footer');
  const copy = button('Copy', () => copyText(exchange.answer, copy));
  const retry = button('Retry', () => generate(exchange));
  retry.className = 'retry';
  footer.append(element('span', '', statsOf(exchange)), copy, retry);
  place.append(footer);
}

function showRunning(controller) {
  running = controller;
  at('send').hidden = controller !== null;
  at('stop').hidden = controller === null;
}

// The talk follows its end until the reader scrolls up. Once a frame: to measure it takes longer
// than to add a token.
let follows = true, followDue = false, lastTop = 0;
function follow() {
  if (followDue) return;
  followDue = true;
  requestAnimationFrame(() => {
    followDue = false;
    if (follows) at('talk').scrollTop = at('talk').scrollHeight;
  });
}
at('talk').addEventListener('scroll', () => {
  const { scrollTop, scrollHeight, clientHeight } = at('talk');
  if (scrollTop < lastTop) follows = false;
  if (scrollHeight - scrollTop - clientHeight < 40) follows = true;
  lastTop = scrollTop;
});

async function generate(exchange) {
  if (running) return;
  const controller = new AbortController();
  Object.assign(exchange, { usage: null, timings: null, first: null, finish: null });
  showRunning(controller);
  beginAnswer(exchange);
  follow();
  try {
    const request = {
      ...settingsOf(), model: at('model').value, messages: messagesOf(), stream: true,
      stream_options: { include_usage: true },
    };
    const response = await ask('v1/chat/completions', request, controller.signal);
    for await (const event of eventsOf(response)) {
      takeEvent(exchange, event);
      follow();
    }
  } catch (error) {
    if (controller.signal.aborted) exchange.finish = 'stopped';
    else exchange.fault = error.message;
  }
  showRunning(null);
  if (!exchanges.includes(exchange)) return;  // cleared
  endAnswer(exchange);
  follow();
}

function send() {
  const question = at('prompt').value;
  if (running || !question.trim()) return;
  at('prompt').value = '';
  fitPrompt();
  exchanges.push(addExchange(question));
  follows = true;
  generate(exchanges.at(-1));
}

function stop() {
  running?.abort();
}

function clear() {
  stop();
  exchanges = [];
  for (const place of at('talk').querySelectorAll('article')) place.remove();
  at('hint').hidden = false;
  at('prompt').focus();
}

// As many rows as the text has.
function fitPrompt() {
  const prompt = at('prompt');
  prompt.style.height = 'auto';
  prompt.style.height = `${prompt.scrollHeight + 2}px`;
}

at('prompt').addEventListener('input', fitPrompt);
at('prompt').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
at('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || at('key-dialog').open) return;
  hideTip();
  if (running) stop();
  else if (isNarrow.matches) showSettings(false);
});
at('stop').addEventListener('click', stop);
at('clear').addEventListener('click', clear);

fitPrompt();
loadServer().then(watchMetrics, (error) => {
  at('hint').className = 'fault';
  at('hint').textContent = `The server cannot be asked: ${error.message}`;
});
