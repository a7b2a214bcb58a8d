#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alerts_test.sh TREE: Prometheus's promtool finds the rules of docs/alerts.yml valid, and they fire when they
# should. Skipped where promtool is absent (Debian's package prometheus).
set -euo pipefail
rules=$1/docs/alerts.yml
command -v promtool >/dev/null || { echo "SKIP: promtool is not installed (apt install prometheus)"; exit 77; }
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
promtool check rules "$rules"

cat >"$stage/test.yml" <<END
rule_files: [$rules]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'retort_drift_score{instance="one", statistic="refused"}', values: '1x5 -4.5x30'}
      - {series: 'retort_drift_score{instance="two", statistic="refused"}', values: '3.9x60'}
      - {series: 'retort_drift_mean{instance="one", statistic="schema_valid"}', values: '0.5x60'}
      - {series: 'retort_drift_answers{instance="one", statistic="schema_valid"}', values: '100x60'}
      - {series: 'retort_drift_mean{instance="two", statistic="schema_valid"}', values: '0.5x60'}
      - {series: 'retort_drift_answers{instance="two", statistic="schema_valid"}', values: '3x60'}
      - {series: 'retort_requests_total{instance="one", status="200"}', values: '0+100x60'}
      - {series: 'retort_requests_total{instance="one", status="500"}', values: '0+2x60'}
      - {series: 'retort_requests_total{instance="two", status="200"}', values: '0+100x60'}
    alert_rule_test:
      - {eval_time: 10m, alertname: RetortAnswersDrifted, exp_alerts: []}
      - eval_time: 30m
        alertname: RetortAnswersDrifted
        exp_alerts:
          - exp_labels: {severity: warning, instance: one, statistic: refused}
            exp_annotations:
              summary: 'Answers of one differ from the baseline: refused'
              description: >-
                refused is 4.5 standard errors from the baseline. Look at retort_drift_mean and
                retort_drift_baseline_mean, and at what changed: the model file, the adapter, the template, the
                prompts.
      - eval_time: 30m
        alertname: RetortSchemasBroken
        exp_alerts:
          - exp_labels: {severity: critical, instance: one, statistic: schema_valid}
            exp_annotations:
              summary: Answers of one end before their schema does
              description: 'Only 50% of the answers that are held to a schema are complete; see max_tokens.'
      - eval_time: 30m
        alertname: RetortFails
        exp_alerts:
          - exp_labels: {severity: critical, instance: one}
            exp_annotations: {summary: 'More than 1 % of the requests to one fail'}
      - {eval_time: 30m, alertname: RetortIsFull, exp_alerts: []}
END
promtool test rules "$stage/test.yml"
