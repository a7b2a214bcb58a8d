// SPDX-License-Identifier: Apache-2.0
// node ai_sdk_client.mjs URL ROUNDS: uses a server as a user of the AI SDK would. Called by client_libraries_test.py, whose
// model it asks. Prints a line for each call.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';

const [url, rounds] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: 'retort', baseURL: url, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true });
const common = { model: provider('caller'), temperature: 0, maxOutputTokens: 40, maxRetries: 0 };
const parameters = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] });
const tools = Object.fromEntries(['get_weather', 'get_time'].map((name) => [name, tool({ description: 'd', inputSchema: parameters })]));
const place = jsonSchema({ type: 'object', properties: { city: { enum: ['Rome', 'Oslo'] }, inhabitants: { type: 'integer', minimum: 0, maximum: 9 } },
  required: ['city', 'inhabitants'], additionalProperties: false });
const asked = [['weather in Rome', 'get_weather', 'Rome'], ['time in Oslo', 'get_time', 'Oslo']];

async function that(what, call) {
  try {
    await call();
    console.log(`ok     ai: ${what}`);
  } catch (fault) {
    console.log(`FAILED ai: ${what}: ${fault.name}: ${String(fault.message).slice(0, 400)}`);
    process.exitCode = 1;
  }
}

async function whole(text) {
  const answer = await fetch(`${url}/chat/completions`, { method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: text }], max_tokens: 40 }) });
  return (await answer.json()).choices[0].message.content;
}

// A stream's errors are parts of it.
async function streamed(request) {
  const parts = [];
  for await (const part of streamText({ ...request, onError: () => {} }).fullStream) {
    if (part.type === 'error') throw part.error;
    parts.push(part);
  }
  return parts;
}

for (let i = 0; i < Number(rounds); ++i) {
  const prompt = `hello ${i}`, expected = await whole(prompt);
  await that('generateText', async () => {
    const answer = await generateText({ ...common, prompt });
    assert.equal(answer.text, expected);
    assert.ok(answer.usage.outputTokens > 0);
  });
  await that('streamText', async () => {
    const parts = await streamed({ ...common, prompt });
    assert.equal(parts.filter((p) => p.type === 'text-delta').map((p) => p.text).join(''), expected);
    assert.ok(parts.at(-1).totalUsage.outputTokens > 0);
  });
  for (const [text, name, city] of asked) {
    await that('tool', async () => {
      const { toolCalls, finishReason } = await generateText({ ...common, tools, prompt: text });
      assert.deepEqual(toolCalls.map((c) => [c.toolName, c.input]), [[name, { city }]]);
      assert.equal(finishReason, 'tool-calls');
    });
    await that('tool in a stream', async () => {
      const calls = (await streamed({ ...common, tools, prompt: text })).filter((p) => p.type === 'tool-call');
      assert.deepEqual(calls.map((c) => [c.toolName, c.input]), [[name, { city }]]);
    });
  }
  await that('result of a tool', async () => {
    const execute = async () => 'fine weather';
    const own = { ...tools, get_weather: tool({ description: 'd', inputSchema: parameters, execute }) };
    const answer = await generateText({ ...common, tools: own, prompt: 'weather in Rome', stopWhen: ({ steps }) => steps.length === 2 });
    assert.match(answer.text, /Rome/);
  });
  await that('structured output', async () => {
    const answer = await generateText({ ...common, prompt: 'a place', output: Output.object({ schema: place }) });
    assert.deepEqual(Object.keys(answer.output).sort(), ['city', 'inhabitants']);
  });
  await that('embeddings', async () => {
    const model = provider.textEmbeddingModel('caller');
    assert.equal((await embed({ model, value: 'a', maxRetries: 0 })).embedding.length, 64);
    assert.equal((await embedMany({ model, values: ['a', 'b'], maxRetries: 0 })).embeddings.length, 2);
  });
}
await that('a refusal', () => assert.rejects(generateText({ ...common, model: provider('none'), prompt: 'a' }), (e) => e.statusCode === 404));
