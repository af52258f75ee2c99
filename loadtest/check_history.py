#!/usr/bin/env python3
"""Judges the histories of a soak (docs/histories.md) without any code of the load test.

    loadtest/check_history.py histories.jsonl

Prints one line, `acked A lost L duplicated D reordered R leaked K`, and the first examples of each; exit status 1 when
anything is wrong, 2 when the file cannot be read.
"""

import json
import sys
from collections import Counter, defaultdict

EXAMPLES = 5


class Judge:
    def __init__(self):
        self.journal = defaultdict(dict)  # conversation -> seq -> id or None
        self.changes = defaultdict(list)  # (conversation, user) -> [(seq, joined)]
        self.acks = defaultdict(set)  # (conversation, id) -> seqs
        self.sent = set()
        self.clients = {}  # client -> (conversation, user)
        self.from_seq = {}
        self.entries = defaultdict(list)  # client -> [(seq, id)]
        self.wrong = Counter()
        self.examples = defaultdict(list)

    def found(self, kind, what):
        self.wrong[kind] += 1
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(what)

    def read(self, line):
        event = line["event"]
        if event in ("fault", "heal"):
            return
        conversation = line["conversation"]
        if event == "journal":
            seq = line["seq"]
            if seq in self.journal[conversation]:
                self.found("duplicated", f"conversation {conversation} has two entries {seq}")
            self.journal[conversation][seq] = line.get("id")
            for what in ("joined", "left"):
                if what in line:
                    self.changes[conversation, line[what]].append((seq, what == "joined"))
            return
        client = line["client"]
        self.clients[client] = (conversation, line["user"])
        if event == "send":
            self.sent.add((conversation, line["id"]))
        elif event == "ack":
            self.acks[conversation, line["id"]].add(line["seq"])
        elif event == "conversation":
            self.from_seq.setdefault(client, line["from_seq"])
            if line["reset"]:
                self.found("reordered", f"client {client} was told to forget its copy")
        elif event == "entry":
            self.entries[client].append((line["seq"], line.get("id")))

    def judge(self):
        for conversation, journal in self.journal.items():
            for seq in range(1, max(journal) + 1):
                if seq not in journal:
                    self.found("lost", f"conversation {conversation} has no entry {seq}")
            for id_, count in Counter(i for i in journal.values() if i).items():
                if count > 1:
                    self.found("duplicated", f"conversation {conversation}: {id_} is {count} entries")
        for (conversation, id_), seqs in self.acks.items():
            if (conversation, id_) not in self.sent:
                self.found("reordered", f"conversation {conversation}: {id_} was acknowledged and never sent")
            if len(seqs) > 1:
                self.found("duplicated", f"conversation {conversation}: {id_} was acknowledged as {sorted(seqs)}")
            for seq in seqs:
                if self.journal[conversation].get(seq) != id_:
                    self.found("lost", f"conversation {conversation}: {id_} was acknowledged as {seq} and is not there")
        for client, (conversation, user) in self.clients.items():
            self.client(client, conversation, user)

    def client(self, client, conversation, user):
        journal = self.journal[conversation]
        visible, since = set(), None
        for seq, joined in sorted(self.changes[conversation, user]):
            if joined:
                since = seq
            elif since is not None:
                visible.update(range(since, seq + 1))
                since = None
        if since is not None and journal:
            visible.update(range(since, max(journal) + 1))
        seen, last = set(), 0
        for seq, id_ in self.entries[client]:
            if seq in seen:
                self.found("duplicated", f"client {client} got {seq} twice")
            elif seq < last:
                self.found("reordered", f"client {client} got {seq} after {last}")
            seen.add(seq)
            last = max(last, seq)
            if seq not in visible:
                self.found("leaked", f"client {client} got {seq}, outside of its spans")
            elif journal.get(seq) != id_:
                self.found("reordered", f"client {client} got something else as {seq} than the journal has")
        for seq in visible:
            if seq >= self.from_seq.get(client, 1) and seq not in seen:
                self.found("lost", f"client {client} never got {seq}")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    judge = Judge()
    try:
        with open(sys.argv[1], encoding="utf-8") as lines:
            for line in lines:
                judge.read(json.loads(line))
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot read {sys.argv[1]}: {error!r}", file=sys.stderr)
        return 2
    judge.judge()
    kinds = ("lost", "duplicated", "reordered", "leaked")
    print(f"acked {len(judge.acks)} " + " ".join(f"{kind} {judge.wrong[kind]}" for kind in kinds))
    for kind in kinds:
        for example in judge.examples[kind]:
            print(f"  {kind}: {example}")
    return 1 if judge.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
