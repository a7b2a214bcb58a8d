
// SPDX-License-Identifier: Apache-2.0
// The server's own figures, every two seconds while the page is seen.

const METRICS_EVERY = 2000;  // milliseconds

// Values by name; those with labels are left out.
function readMetrics(text) {
  const values = {};
  for (const line of text.split('\n')) {
    const found = /^(retort_\w+) (\S+)$/.exec(line);
    if (found) values[found[1]] = Number(found[2]);
  }
  return values;
}

function seconds(value) {
  return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`;
}

let earlier = null;  // the last metrics, and when they came
function showMetrics(now, time) {
  at('running').textContent = now.retort_requests_running;
  at('waiting').textContent = now.retort_requests_waiting;
  const before = earlier ?? { now: {}, time };
  const grown = (name) => now[name] - (before.now[name] ?? 0);
  if (earlier) {
    const rate = 1000 * grown('retort_engine_tokens_total') / (time - before.time);
    at('rate').textContent = rate.toFixed(rate < 10 ? 1 : 0);
  }
  const first = 'retort_time_to_first_token_seconds';
  const answered = grown(`${first}_count`);
  if (answered > 0) at('first-token').textContent = seconds(grown(`${first}_sum`) / answered);
  earlier = { now, time };
}

async function watchMetrics() {
  for (;;) {
    if (!document.hidden) {
      try {
        const response = await ask('metrics');
        showMetrics(readMetrics(await response.text()), performance.now());
      } catch {
        earlier = null;
        for (const id of ['rate', 'running', 'waiting']) at(id).textContent = '–';
      }
    }
    await new Promise((resolve) => setTimeout(resolve, METRICS_EVERY));
  }
}
