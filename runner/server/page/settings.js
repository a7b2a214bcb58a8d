
// SPDX-License-Identifier: Apache-2.0
// What the settings add to a request. An empty field leaves the server's default.

const NUMBERS = [  // the API's name, label, least, most, step
  ['temperature', 'Temperature', 0, 2, 'any'],
  ['top_p', 'Top p', 0, 1, 'any'],
  ['top_k', 'Top k', 0, 1000000, 1],
  ['min_p', 'Min p', 0, 1, 'any'],
  ['repetition_penalty', 'Repetition', 0.01, 100, 'any'],
  ['seed', 'Seed', 0, Number.MAX_SAFE_INTEGER, 1],
  ['max_tokens', 'Max tokens', 1, 1000000, 1],
];
const TOP_LOGPROBS = 5;

for (const [name, label, min, max, step] of NUMBERS) {
  const field = element('label', '', label);
  const input = element('input');
  Object.assign(input, { id: name, type: 'number', min, max, step });
  field.append(input);
  at('sampling').append(field);
}

// The schema's JSON, or null. Throws an Error in the user's words.
function readSchema() {
  const text = at('schema').value.trim();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The schema is not JSON: ${error.message}`);
  }
}

function settingsOf() {
  const request = {};
  for (const [name, label] of NUMBERS) {
    const input = at(name);
    if (!input.checkValidity()) throw new Error(`${label}: ${input.validationMessage}`);
    if (input.value !== '') request[name] = Number(input.value);
  }
  const stops = at('stops').value.split('\n').filter((line) => line !== '');
  if (stops.length > 0) request.stop = stops;
  const schema = readSchema();
  if (schema !== null) {
    const json_schema = { name: 'answer', schema };
    request.response_format = { type: 'json_schema', json_schema };
  }
  if (at('with-logprobs').checked) Object.assign(request, { logprobs: true, top_logprobs: TOP_LOGPROBS });
  return request;
}

at('schema').addEventListener('input', () => {
  try {
    readSchema();
    at('schema-fault').textContent = '';
  } catch (error) {
    at('schema-fault').textContent = error.message;
  }
});
at('coloured').addEventListener('change', (event) => {
  document.body.classList.toggle('coloured', event.target.checked);
});

function showSettings(shown) {
  document.body.classList.toggle('with-settings', shown);
  at('settings-button').setAttribute('aria-expanded', shown);
}
const settingsShown = () => document.body.classList.contains('with-settings');
const isNarrow = matchMedia('(max-width: 760px)');
at('settings-button').addEventListener('click', () => showSettings(!settingsShown()));
showSettings(!isNarrow.matches);

// The models and adapters that the server has, and its defaults as the fields' placeholders.
async function loadServer() {
  const models = await (await ask('v1/models')).json();
  at('model').replaceChildren(...models.data.map((model) => new Option(model.id, model.id)));
  document.title = `${models.data[0].id} – Retort`;
  const defaults = (await (await ask('props')).json()).default_generation_settings.params;
  for (const [name] of NUMBERS) at(name).placeholder = defaults[name] ?? '';
}
