// SPDX-License-Identifier: Apache-2.0
// llama.cpp answers many questions about GGUF files in one process.
//   node llama_cpp_judge.mjs QUESTIONS.json ANSWERS.json
// Questions: [{model, logits: [{ids, out}], greedy: [{ids, count}], tokenize: [text]}]. Logits go to `out`
// as little-endian f32 [T,V], row t after token t; an answer is {greedy: [ids], tokenize: [ids]}, no BOS.
import {getLlama} from "node-llama-cpp";
import fs from "node:fs";

const questions = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: 2});

async function withSequence(model, tokens, body) {
    const context = await model.createContext({
        contextSize: tokens + 8, threads: 2, batchSize: 512, sequences: 1, flashAttention: false,
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"  // F16 alone costs 1e-2
    });
    const result = await body(context.getSequence());
    await context.dispose();
    return result;
}

const logits = (model, {ids, out}) => withSequence(model, ids.length, async (sequence) => {
    const steps = await sequence.controlledEvaluate(ids.map((id) => [id, {generateNext: {logits: true}}]));
    let vocab = 0;
    for (const id of steps[0].next.logits.keys()) vocab = Math.max(vocab, id + 1);
    const flat = new Float32Array(steps.length * vocab).fill(NaN);
    steps.forEach((step, t) => step.next.logits.forEach((v, id) => { flat[t * vocab + id] = v; }));
    fs.writeFileSync(out, Buffer.from(flat.buffer));
});

const greedy = (model, {ids, count}) => withSequence(model, ids.length + count, async (sequence) => {
    const made = [];
    for await (const id of sequence.evaluate(ids, {temperature: 0, yieldEogToken: true}))
        if (made.push(id) >= count) break;
    return made;
});

const answers = [];
for (const question of questions) {
    const model = await llama.loadModel({modelPath: question.model});
    const answer = {greedy: [], tokenize: []};
    for (const q of question.logits ?? []) await logits(model, q);
    for (const q of question.greedy ?? []) answer.greedy.push(await greedy(model, q));
    for (const text of question.tokenize ?? []) answer.tokenize.push(Array.from(model.tokenize(text, false)));
    await model.dispose();
    answers.push(answer);
}
fs.writeFileSync(process.argv[3], JSON.stringify(answers));
process.exit(0);
