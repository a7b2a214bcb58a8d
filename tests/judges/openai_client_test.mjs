// SPDX-License-Identifier: Apache-2.0
// node openai_client_test.mjs URL KEY: uses a server as a user of the openai package would.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const model = 'nonsense';

const ask = (i) => ({
  model, temperature: 0, max_tokens: 40,
  messages: [{ role: 'system', content: 'Answer.' }, { role: 'user', content: `Question ${i}: ${'why '.repeat(i)}?` }],
});

// What was read for an earlier request depends on who came before.
function counted({ prompt_tokens_details: details, ...usage }) {
  assert.ok(details.cached_tokens <= usage.prompt_tokens);
  return usage;
}

async function streamed(request) {
  let text = '', finish = null, usage = null, chunks = 0;
  const stream = await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    chunks += 1;
    text += chunk.choices[0]?.delta?.content ?? '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  return { text, finish, usage: counted(usage), chunks };
}

const models = [];
for await (const m of client.models.list()) models.push(m.id);
assert.deepEqual(models, [model]);

// One whole, and the same one streamed.
const alone = [];
for (let i = 0; i < 8; ++i) {
  const answer = await client.chat.completions.create(ask(i));
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.ok(answer.usage.completion_tokens > 0);
  alone.push({ text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason, usage: counted(answer.usage) });
}
assert.ok(new Set(alone.map((a) => a.text)).size > 1, 'all answers are the same: nothing can be told apart');
const { chunks, ...one } = await streamed(ask(5));
assert.deepEqual(one, alone[5]);
assert.ok(chunks > 3);

// Eight at once.
const together = await Promise.all(alone.map((_, i) => streamed(ask(i))));
together.forEach(({ chunks: _, ...answer }, i) => assert.deepEqual(answer, alone[i], `stream ${i}`));

// The package's own gathering of a stream, and plain text.
const runner = client.chat.completions.stream(ask(2));
assert.equal((await runner.finalChatCompletion()).choices[0].message.content, alone[2].text);
const plain = await client.completions.create({ model, prompt: 'Once', max_tokens: 8, temperature: 0 });
assert.equal(typeof plain.choices[0].text, 'string');

// Errors arrive as the package's own kinds.
await assert.rejects(client.chat.completions.create({ ...ask(0), reasoning_effort: 'high' }),
  (e) => e instanceof OpenAI.BadRequestError && e.param === 'reasoning_effort' && e.code === 'unsupported_value');
await assert.rejects(new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 }).models.list(),
  (e) => e instanceof OpenAI.AuthenticationError);

// A client that stops listening ends its request.
const controller = new AbortController();
const dropped = await client.chat.completions.create({ ...ask(1), max_tokens: 400, stream: true }, { signal: controller.signal });
for await (const _ of dropped) break;
controller.abort();
for (let i = 0; ; ++i) {
  const health = await (await fetch(`${url}/health`)).json();
  if (health.running === 0 && health.cached_tokens === 0) break;
  assert.ok(i < 100, 'the request goes on without its client');
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log('openai: one answer, one stream and eight at once agree');
