#!/usr/bin/env python3
"""Writes dashboard.json beside itself: panels as a table here are easier to review than JSON."""

import json
import pathlib

ROWS = [
    ("Sessions", "short", [("{{instance}}", "huizhen_im_sessions")]),
    ("Rooms", "short", [("{{instance}}", "huizhen_im_rooms")]),
    ("Sends per second", "short", [("{{instance}}", "sum by (instance) (rate(huizhen_journal_batch_sends_sum[1m]))")]),
    (
        "Commit",
        "s",
        [
            (f"p{q}", f"histogram_quantile(0.{q}, sum by (le) (rate(huizhen_journal_commit_seconds_bucket[1m])))")
            for q in ("50", "99")
        ],
    ),
    (
        "Sends per batch",
        "short",
        [("{{instance}}", "rate(huizhen_journal_batch_sends_sum[1m]) / rate(huizhen_journal_batch_sends_count[1m])")],
    ),
    ("Dependencies", "short", [("{{dependency}} of {{instance}}", "huizhen_dependency_up")]),
    ("Goodbyes per second", "short", [("{{reason}}", "sum by (reason) (rate(huizhen_im_byes_total[1m]))")]),
    ("Refused requests per second", "short", [("{{code}}", "sum by (code) (rate(huizhen_im_errors_total[1m]))")]),
    (
        "Repairs per second",
        "short",
        [
            ("gaps", "sum(rate(huizhen_im_gaps_total[1m]))"),
            ("sessions behind", "sum(rate(huizhen_im_sessions_behind_total[1m]))"),
            ("conversations checked again", "sum(rate(huizhen_journal_stale_conversations_total[1m]))"),
        ],
    ),
    (
        "Backplane per second",
        "short",
        [
            ("published", "sum(rate(huizhen_backplane_published_total[1m]))"),
            ("received", "sum(rate(huizhen_backplane_received_total[1m]))"),
            ("lost, {{why}}", "sum by (why) (rate(huizhen_backplane_lost_total[1m]))"),
        ],
    ),
    (
        "REST p99",
        "s",
        [("{{route}}", "histogram_quantile(0.99, sum by (le, route) (rate(huizhen_rest_request_seconds_bucket[5m])))")],
    ),
    ("Faults of the ledger, by its proofs", "short", [("{{instance}}", "increase(huizhen_ledger_faults_total[25h])")]),
    ("CPU, cores", "short", [("{{instance}}", "rate(huizhen_process_cpu_seconds_total[1m])")]),
    ("Resident memory", "bytes", [("{{instance}}", "huizhen_process_resident_memory_bytes")]),
    ("File descriptors", "short", [("{{instance}}", "huizhen_process_open_fds")]),
    (
        "Checkpoints, SQLite only",
        "s",
        [("{{by}}", "histogram_quantile(0.99, sum by (le, by) (rate(huizhen_database_checkpoint_seconds_bucket[5m])))")],
    ),
]


def panel(number, title, unit, queries):
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "gridPos": {"h": 8, "w": 8, "x": 8 * (number % 3), "y": 8 * (number // 3)},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend}
            for at, (legend, expression) in enumerate(queries)
        ],
    }


DASHBOARD = {
    "uid": "huizhen",
    "title": "Huizhen",
    "timezone": "browser",
    "schemaVersion": 39,
    "refresh": "15s",
    "time": {"from": "now-1h", "to": "now"},
    "panels": [panel(number, *row) for number, row in enumerate(ROWS)],
}

if __name__ == "__main__":
    pathlib.Path(__file__).with_name("dashboard.json").write_text(
        json.dumps(DASHBOARD, indent=2) + "\n", encoding="utf-8"
    )
