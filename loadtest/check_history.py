#!/usr/bin/env python3
"""Judges the histories of a soak (docs/histories.md) without any code of the load test.

    loadtest/check_history.py histories.jsonl

Prints one line, `acked A lost L duplicated D reordered R leaked K changed C`, then each rule that was broken with the
first examples; exit status 1 when anything is wrong, 2 when the file cannot be read. It reads the file twice: the
journals, sends and answers first, then what each device saw, so that it holds no device's history.
"""

import json
import sys
from collections import Counter, defaultdict

EXAMPLES = 5
MESSAGE = 1
CLASSES = {
    "lost": ["journal-gap", "ack-lost", "entry-lost", "skipped", "never-came", "not-synced", "unanswered", "page-lacks",
             "deadline-lost"],
    "duplicated": ["journal-doubled", "message-doubled", "ack-differs", "entry-doubled", "deadline-doubled"],
    "reordered": ["entry-reordered", "real-time", "reset", "untold", "page-order", "spans-differ", "deadline-early"],
    "leaked": ["leaked", "invented", "outside-senders-time"],
    "changed": ["changed", "changed-since-sent", "nobody-sent", "ack-unsent", "deadline-differs"],
}
END = 1 << 62
# A deadline that was due this long before the records were read has fired.
GRACE_MS = 60_000
# By how much the database's clock may run faster than that of the run.
SLACK_US = 100_000
NOTICES = {"first_answer": "answer_reminder", "silence_end": "silence_warning"}


class Conversation:
    def __init__(self):
        self.journal = {}  # seq -> line
        self.changes = defaultdict(list)  # user -> [(seq, joined, sees_from_seq)]
        self.rows = defaultdict(list)  # user -> [(from_seq, to_seq, sees_from_seq)]
        self.has_rows = False
        self.views = {}
        self.records = []  # lines of consult_deadline
        self.promise = self.read_ms = None

    def stays(self, user):
        stays, since = [], None
        for seq, joined, sees_from in sorted(self.changes[user]):
            if joined:
                since = (seq, sees_from) if since is None else since
            elif since is not None:
                stays.append((since[0], seq, since[1]))
                since = None
        if since is not None:
            stays.append((since[0], END, since[1]))
        return stays

    def spans(self, user):
        return sorted(self.rows[user]) if self.has_rows else self.stays(user)

    def view(self, user):
        """The seqs that this user may see, in order."""
        if user not in self.views:
            spans = self.spans(user)
            self.views[user] = [s for s in sorted(self.journal) if any(a <= s <= b for _, b, a in spans)]
        return self.views[user]

    def may_see(self, user, seq, now=END):
        """By the stays that began up to the entry `now`: a node that sends that entry knows of them."""
        return any(a <= seq <= b for begun, b, a in self.spans(user) if begun <= now)

    def between(self, user, after, until, now=END):
        """What this user may see after `after` and before `until`."""
        if until - after <= 1:
            return []
        if until - after < 1000:
            return [s for s in range(after + 1, until) if s in self.journal and self.may_see(user, s, now)]
        return [s for s in self.view(user) if after < s < until and self.may_see(user, s, now)]

    def known_with(self, user, seq):
        """The newest entry that is known to who sends `seq`: that, or the beginning of the first stay that shows it."""
        return max([seq] + [begun for begun, end, first in self.spans(user) if first <= seq <= end][:1])

    def reveals(self, user, have):
        """Whether a copy that ends with `have` may lack entries before that which only a later stay shows."""
        made_in = next((begun for begun, end, _ in self.spans(user) if have <= end), None)
        if made_in is None:
            return False
        return any(self.may_see(user, s) and not self.may_see(user, s, made_in) for s in range(1, have + 1))


class Device:
    def __init__(self):
        self.have = {}
        # Entries that a copy passed over, which only a later stay shows: it must be dropped before the end.
        self.holes = defaultdict(set)
        self.page = None
        self.connect()

    def connect(self):
        self.places, self.passed = {}, defaultdict(set)
        self.is_open = self.is_synced = False
        self.waiting = 0

    def drop_copy(self, number):
        self.have.pop(number, None)
        self.holes.pop(number, None)


class Judge:
    def __init__(self):
        self.conversations = defaultdict(Conversation)
        self.sent = {}  # (conversation, id) -> [user, first time, body, clients]
        self.acks = {}  # (conversation, id) -> (time, seq)
        self.answers = Counter()
        self.devices = defaultdict(Device)
        self.staying = {}  # client -> user
        self.users = {}
        self.wrong = Counter()
        self.examples = defaultdict(list)

    def found(self, rule, example, times=1):
        if times:
            self.wrong[rule] += times
            if len(self.examples[rule]) < EXAMPLES:
                self.examples[rule].append(example)

    def first(self, line):
        """Journals, participants, sends and answers."""
        event = line["event"]
        if event == "journal":
            of_it, seq = self.conversations[line["conversation"]], line["seq"]
            if seq in of_it.journal:
                self.found("journal-doubled", f"conversation {line['conversation']} has {seq} twice")
            of_it.journal[seq] = line
            for what in ("joined", "left"):
                if what in line:
                    of_it.changes[line[what]].append((seq, what == "joined", line.get("sees_from_seq", seq)))
        elif event == "participant":
            of_it = self.conversations[line["conversation"]]
            of_it.has_rows = True
            from_seq = line["from_seq"]
            row = (from_seq, line.get("to_seq", END), line.get("sees_from_seq", from_seq))
            of_it.rows[line["participant"]].append(row)
        elif event == "deadline":
            self.conversations[line["conversation"]].records.append(line)
        elif event == "promise":
            self.conversations[line["conversation"]].promise = line
        elif event == "deadlines_read":
            self.conversations[line["conversation"]].read_ms = line["now_ms"]
        elif event == "stays":
            self.staying[line["client"]] = line["user"]
        elif event == "send":
            key = (line["conversation"], line["id"])
            sent = self.sent.setdefault(key, [line["user"], line["t_us"], line["body"], []])
            sent[3].append(line["client"])
        elif event == "ack":
            key = (line["conversation"], line["id"])
            if key not in self.sent or line["client"] not in self.sent[key][3]:
                self.found("ack-unsent", f"conversation {key[0]}: {key[1]} as {line['seq']}")
                return
            self.answers[key] += 1
            before = self.acks.setdefault(key, (line["t_us"], line["seq"]))
            if before[1] != line["seq"]:
                self.found("ack-differs", f"conversation {key[0]}: {key[1]} as {before[1]} and as {line['seq']}")
        elif event == "refused":
            self.answers[line["conversation"], line["id"]] += 1

    def second(self, line):
        """What a device saw."""
        event = line["event"]
        if "t_us" not in line or "client" not in line or event in ("send", "ack", "refused"):
            return
        client, user = line["client"], line["user"]
        device = self.devices[client]
        self.users[client] = user
        if event == "connected":
            device.connect()
        elif event == "logged_in":
            device.is_open = True
        elif event in ("disconnected", "bye"):
            device.is_open = False
        elif event == "sync":
            device.waiting += 1
            device.is_synced = False
        elif event == "item":
            number = line["conversation"]
            if line["have_seq"] > 0:
                device.places.setdefault(number, line["have_seq"])
            elif number not in device.places:
                # A copy without entries counts as new.
                device.drop_copy(number)
        elif event == "sync_done":
            device.waiting = max(0, device.waiting - 1)
            device.is_synced = not line["more"] and device.waiting == 0
        elif event == "sync_failed":
            device.waiting = max(0, device.waiting - 1)
        elif event == "conversation":
            self.told(client, device, user, line)
        elif event == "entry":
            self.moment(line)
            self.entry(client, device, user, line)
        elif event == "page":
            device.page = dict(line, last=line["after_seq"])
        elif event == "paged":
            self.paged(client, device, user, line)
        elif event == "page_end" and device.page:
            page, device.page = device.page, None
            if not page["has_more"]:
                durable, of_it = page["durable_seq"], self.conversations[page["conversation"]]
                lacks = of_it.between(user, page["last"], durable + 1, durable)
                self.found("page-lacks", f"client {client}: ends at {page['last']}", len(lacks))

    def told(self, client, device, user, line):
        number, from_seq, last_seq = line["conversation"], line["from_seq"], line["last_seq"]
        begin = from_seq - 1 if from_seq else last_seq
        of_it = self.conversations[number]
        if line["reset"]:
            device.drop_copy(number)
        place = device.places.get(number, device.have.get(number))
        if line["reset"] and place is not None:
            # Of a conversation that was not named there is no copy that could be forgotten.
            if not of_it.reveals(user, place) and not of_it.between(user, place, from_seq):
                self.found("reset", f"client {client}: conversation {number}")
            # The session's entries do not come again.
            device.have[number] = begin
        if place is None:
            device.drop_copy(number)
            joined = [a for a, _, _ in of_it.stays(user) if a <= last_seq]
            if joined and device.is_synced and joined[-1] <= begin:
                self.found("skipped", f"client {client}: came into {number} by {joined[-1]}, fed from {from_seq}")
            device.places[number] = device.have[number] = begin
            return
        # A copy is dropped for entries that its node knew to be hidden when it passed them.
        now = of_it.known_with(user, from_seq) if line["reset"] else last_seq
        skipped = of_it.between(user, place, from_seq, now) if from_seq else []
        if skipped:
            self.found("skipped", f"client {client}: {number} goes on at {from_seq}, it had {place}", len(skipped))
            device.places[number] = from_seq - 1
            return
        device.places.setdefault(number, place)

    def same(self, client, line):
        """Whether the journal has it; also compares."""
        fact = self.conversations[line["conversation"]].journal.get(line["seq"])
        if fact is None:
            self.found("invented", f"client {client}: conversation {line['conversation']} has no {line['seq']}")
            return False
        if any(fact.get(field) != line.get(field) for field in ("sender", "kind", "id", "body")):
            self.found("changed", f"client {client}: {line['seq']} of {line['conversation']} came otherwise")
        return True

    def entry(self, client, device, user, line):
        number, seq = line["conversation"], line["seq"]
        of_it = self.conversations[number]
        if not self.same(client, line):
            return
        if not of_it.may_see(user, seq):
            self.found("leaked", f"client {client}: {seq} of conversation {number}")
            return
        device.have[number] = max(device.have.get(number, seq), seq)
        if number not in device.places:
            self.found("untold", f"client {client}: {seq} of conversation {number}")
            device.places[number] = seq
            return
        place, passed = device.places[number], device.passed[number]
        if seq <= place:
            if seq in passed:
                passed.remove(seq)
                self.wrong["entry-lost"] -= 1
                self.found("entry-reordered", f"client {client}: {seq} of {number} after {place}")
            else:
                self.found("entry-doubled", f"client {client}: {seq} of {number}, it had {place}")
            return
        lost = of_it.between(user, place, seq, of_it.known_with(user, seq))
        device.holes[number] |= set(of_it.between(user, place, seq)) - set(lost)
        self.found("entry-lost", f"client {client}: conversation {number}: {seq} came after {place}", len(lost))
        passed.update(lost)
        device.places[number] = seq

    def moment(self, line):
        """A deadline fires not sooner than was promised, by the run's clock."""
        of_it = self.conversations[line["conversation"]]
        fact, promise = of_it.journal.get(line["seq"], {}), of_it.promise or {}
        if fact.get("state") != "fired" or "t_us" not in promise:
            return
        after = {"first_answer": promise["answer_ms"]}
        after["answer_reminder"] = promise["answer_ms"] - promise.get("reminder_ms", 0)
        after_ms = after.get(fact["deadline"])
        if after_ms is not None and line["t_us"] + SLACK_US < promise["t_us"] + after_ms * 1000:
            self.found("deadline-early", f"conversation {line['conversation']}: {line['seq']} came too soon")

    def paged(self, client, device, user, line):
        of_it, seq, page = self.conversations[line["conversation"]], line["seq"], device.page
        if not self.same(client, line):
            return
        if not of_it.may_see(user, seq):
            self.found("leaked", f"client {client}: a page has {seq}")
        if page is None:
            return
        if seq <= page["last"]:
            self.found("page-order", f"client {client}: {seq} after {page['last']}")
            return
        lacks = of_it.between(user, page["last"], seq, of_it.known_with(user, seq))
        self.found("page-lacks", f"client {client}: {seq} after {page['last']}", len(lacks))
        page["last"] = seq

    def end(self):
        for number, of_it in self.conversations.items():
            self.journal(number, of_it)
            self.deadlines(number, of_it)
        for (number, id_), (user, _, _, clients) in self.sent.items():
            if self.answers[number, id_] < len(clients):
                self.found("unanswered", f"conversation {number}: {id_}")
            if (number, id_) in self.acks:
                seq = self.acks[number, id_][1]
                fact = self.conversations[number].journal.get(seq)
                if fact is None or fact.get("id") != id_ or fact["sender"] != user:
                    self.found("ack-lost", f"conversation {number}: {id_} as {seq}")
        for client, user in self.staying.items():
            device = self.devices[client]
            if not (device.is_open and device.is_synced):
                self.found("not-synced", f"client {client}")
            for number, of_it in self.conversations.items():
                if user in of_it.rows or user in of_it.changes:
                    have = max(device.have.get(number, 0), device.places.get(number, 0))
                    lacks = len(of_it.between(user, have, END)) + len(device.holes[number])
                    self.found("never-came", f"client {client}: conversation {number}, it has {have}", lacks)

    @staticmethod
    def is_of(promise, kind, due, set_to):
        """Whether a deadline is due when an entry has set it to be, or as it was brought forward."""
        aged = promise.get("aged_ms", 0) if promise and kind == "silence_end" else 0
        return due in (set_to, set_to - aged)

    def deadlines(self, number, of_it):
        """Each fires once, not before its time, and not never."""
        promise, ahead, last, set_to = of_it.promise, {}, {}, {}
        for seq in sorted(of_it.journal):
            fact = of_it.journal[seq]
            if "deadline" not in fact:
                continue
            kind, state, due = fact["deadline"], fact["state"], fact["due_ms"]
            place, is_first = f"conversation {number}: {kind} by {seq}", kind not in last
            last[kind], notice = state, NOTICES.get(kind)
            set_to[kind] = due
            if state == "set":
                ahead[kind] = due
                if promise is None or kind != "first_answer":
                    ahead.update({notice: None} if notice else {})
                elif "reminder_ms" in promise:
                    ahead[notice] = due - promise["reminder_ms"]
                if promise and kind == "first_answer" and is_first and due != fact["created_ms"] + promise["answer_ms"]:
                    self.found("deadline-early", f"{place} is not due when it was promised")
                continue
            if state == "fired":
                if kind not in ahead:
                    self.found("deadline-doubled", f"{place} fires, and is not ahead")
                elif ahead[kind] is not None and not self.is_of(promise, kind, due, ahead[kind]):
                    self.found("deadline-early", f"{place} fires for {due}, and was due at {ahead[kind]}")
                if fact["created_ms"] < due:
                    self.found("deadline-early", f"{place} fires {due - fact['created_ms']} ms early")
            ahead.pop(kind, None)
            ahead.pop(notice, None)
        if promise and "first_answer" not in last:
            self.found("deadline-lost", f"conversation {number}: promised, and no entry sets it")
        if of_it.read_ms is None:
            return
        expected = set(last)
        if promise:
            expected |= {"first_answer"} | ({"answer_reminder"} if "reminder_ms" in promise else set())
        for record in of_it.records:
            kind, state = record["deadline"], record["state"]
            expected.discard(kind)
            told, place = last.get(kind), f"conversation {number}: {kind}"
            if state == "set" and told in (None, "set"):
                if record.get("due_ms", 0) <= of_it.read_ms - GRACE_MS:
                    self.found("deadline-lost", f"{place} has passed, and has not fired")
                elif told and not self.is_of(promise, kind, record["due_ms"], set_to[kind]):
                    self.found("deadline-differs", f"{place} is due at {record['due_ms']}, not at {set_to[kind]}")
            elif state == "fired" and told != "fired":
                self.found("deadline-lost", f"{place} has fired, and no entry says so")
            elif told is None and kind in NOTICES.values():
                pass  # a notice that was not needed
            elif state != told and (state, told) != ("lifted", "set"):
                self.found("deadline-differs", f"{place} is {state}, and the journal says {told}")
        for kind in expected:
            self.found("deadline-lost", f"conversation {number}: {kind} has no record")

    def journal(self, number, of_it):
        expected, messages, inside, earliest, is_first = 1, {}, set(), None, True
        for seq in sorted(of_it.journal):
            fact = of_it.journal[seq]
            self.found("journal-gap", f"conversation {number} has nothing before {seq}", max(0, seq - expected))
            expected = seq + 1
            if "joined" in fact:
                inside.add(fact["joined"])
            elif "left" in fact:
                inside.discard(fact["left"])
            elif fact["kind"] == MESSAGE:
                if fact["sender"] not in inside:
                    self.found("outside-senders-time", f"conversation {number}: {fact['sender']} wrote {seq}")
                # The server writes a consult's complaint.
                is_complaint, is_first = is_first and "id" not in fact, False
                if is_complaint:
                    continue
                key = (fact["sender"], fact.get("id"))
                if key in messages:
                    self.found("message-doubled", f"conversation {number}: {key[1]} is {messages[key]} and {seq}")
                messages[key] = seq
                sent = self.sent.get((number, fact.get("id")))
                if sent is None:
                    self.found("nobody-sent", f"conversation {number}: entry {seq}")
                elif sent[0] != fact["sender"] or sent[2] != fact["body"]:
                    self.found("changed-since-sent", f"conversation {number}: entry {seq}")
        for seq in sorted(of_it.journal, reverse=True):
            key = (number, of_it.journal[seq].get("id"))
            if key not in self.sent:
                continue
            if earliest and earliest[0] < self.sent[key][1]:
                self.found("real-time", f"conversation {number}: {earliest[1]} was acknowledged before {seq} was sent")
            if key in self.acks and self.acks[key][1] == seq and (not earliest or self.acks[key][0] < earliest[0]):
                earliest = self.acks[key]
        if of_it.has_rows:
            for user in set(of_it.changes) | set(of_it.rows):
                rows, stays = sorted(of_it.rows[user]), of_it.stays(user)
                same = len(rows) == len(stays) and all(r[0] <= s[0] and r[1:] == s[1:] for r, s in zip(rows, stays))
                if not same:
                    self.found("spans-differ", f"conversation {number}: {user} has {rows}, came and went {stays}")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    judge = Judge()
    try:
        for look in (judge.first, judge.second):
            with open(sys.argv[1], encoding="utf-8") as lines:
                for line in lines:
                    look(json.loads(line))
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot read {sys.argv[1]}: {error!r}", file=sys.stderr)
        return 2
    judge.end()
    sums = {name: sum(judge.wrong[rule] for rule in rules) for name, rules in CLASSES.items()}
    print(f"acked {len(judge.acks)} " + " ".join(f"{name} {count}" for name, count in sums.items()))
    for rules in CLASSES.values():
        for rule in rules:
            if judge.wrong[rule]:
                print(f"  {rule} {judge.wrong[rule]}")
                for example in judge.examples[rule]:
                    print(f"    {example}")
    return 1 if any(sums.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
