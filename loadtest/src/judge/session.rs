//! The entries of one device, session by session: each that its user may see once, in order, and no other (I3, I5).
//! Pure.

use std::collections::{BTreeSet, HashMap};

use super::note::{Seen, What};
use super::rules::{Findings, Rule};
use super::trial::Who;
use super::truth::{Truth, View};

/// A device's entries so far, and the state of its session.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The last entry that came, of each conversation, over all sessions.
    have: HashMap<i64, i64>,
    /// Entries that a copy passed over, which only a later stay shows: it must be dropped before the end.
    holes: HashMap<i64, BTreeSet<i64>>,
    session: Session,
    /// The user's rights, by conversation.
    views: HashMap<i64, View>,
    page: Option<Page>,
    /// Whether the app ever got an entry or a conversation.
    is_used: bool,
}

/// One connection.
#[derive(Debug, Default)]
struct Session {
    /// Up to where entries were sent, or need not be, of each conversation.
    places: HashMap<i64, i64>,
    /// Entries that were passed over; one that comes late is out of order, not lost.
    passed: HashMap<i64, BTreeSet<i64>>,
    is_open: bool,
    /// Whether one of its Syncs was answered with an Error.
    has_failed: bool,
    /// Syncs without an answer.
    waiting: u64,
    is_synced: bool,
}

/// A page of History that is being read.
#[derive(Debug)]
struct Page {
    conversation: i64,
    last: i64,
    durable_seq: i64,
    has_more: bool,
}

impl Course {
    /// Takes note of what came or was asked for.
    pub(super) fn hear(
        &mut self,
        what: What,
        who: &Who,
        truths: &HashMap<i64, Truth>,
        findings: &mut Findings,
    ) {
        let before = findings.sum();
        self.take(what, who, truths, findings);
        if self.session.has_failed {
            findings.after_failed_sync += findings.sum().saturating_sub(before);
        }
    }

    fn take(&mut self, what: What, who: &Who, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        match what {
            What::Connected { .. } => self.session = Session::default(),
            What::LoggedIn { .. } => self.session.is_open = true,
            What::Disconnected | What::Bye { .. } => self.session.is_open = false,
            What::Sync { .. } => {
                self.is_used = true;
                self.session.waiting += 1;
                self.session.is_synced = false;
            }
            What::Item {
                conversation,
                have_seq,
                ..
            } => {
                // A later Sync may name less than what is on its way already: that changes nothing.
                if have_seq > 0 {
                    self.session.places.entry(conversation).or_insert(have_seq);
                } else if !self.session.places.contains_key(&conversation) {
                    // A copy without entries counts as new.
                    self.drop_copy(conversation);
                }
            }
            What::SyncDone { more, .. } => {
                self.session.waiting = self.session.waiting.saturating_sub(1);
                self.session.is_synced = !more && self.session.waiting == 0;
            }
            What::SyncFailed { .. } => {
                self.session.has_failed = true;
                self.session.waiting = self.session.waiting.saturating_sub(1);
            }
            What::Conversation {
                conversation,
                from_seq,
                last_seq,
                reset,
                ..
            } => self.announced(conversation, from_seq, last_seq, reset, who, truths, findings),
            What::Entry(seen) => self.entry(&seen, who, truths, findings),
            What::Page {
                conversation,
                after_seq,
                durable_seq,
                has_more,
            } => {
                self.page = Some(Page {
                    conversation,
                    last: after_seq,
                    durable_seq,
                    has_more,
                });
            }
            What::Paged(seen) => self.paged(&seen, who, truths, findings),
            What::PageEnd => self.page_ended(who, truths, findings),
            What::Send { .. } | What::Ack { .. } | What::Refused { .. } => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one frame")]
    fn announced(
        &mut self,
        conversation: i64,
        from_seq: i64,
        last_seq: i64,
        reset: bool,
        who: &Who,
        truths: &HashMap<i64, Truth>,
        findings: &mut Findings,
    ) {
        let begin = if from_seq == 0 { last_seq } else { from_seq - 1 };
        if reset {
            self.drop_copy(conversation);
        }
        let Some(truth) = truths.get(&conversation) else {
            self.session.places.entry(conversation).or_insert(begin);
            return;
        };
        let view = view(&mut self.views, conversation, who.user_id, truth);
        let place = self.session.places.get(&conversation);
        let place = place.or(self.have.get(&conversation)).copied();
        if reset && let Some(had) = place {
            // A conversation that was not named has no copy to drop.
            let is_behind = !truth.seen_between(view, had, from_seq, i64::MAX).is_empty();
            if !view.reveals(had) && !is_behind {
                findings.found(Rule::Reset, || format!("{who}: conversation {conversation}"));
            }
            // The session's entries do not come again.
            self.have.insert(conversation, begin);
        }
        let Some(place) = place else {
            // New to the app: what is older than the entries that follow is there for History. But of one that it is
            // brought into while it listens, its coming must not be behind that.
            let is_live = self.session.is_synced;
            if let Some(joined) = truth.joined_before(who.user_id, last_seq)
                && is_live
                && joined <= begin
            {
                findings.found(Rule::Skipped, || {
                    format!("{who}: came into conversation {conversation} by {joined}, fed from {from_seq}")
                });
            }
            self.drop_copy(conversation);
            self.session.places.insert(conversation, begin);
            self.have.insert(conversation, begin);
            return;
        };
        if from_seq > 0 {
            // A copy is dropped for entries that its node knew to be hidden when it passed them.
            let now = if reset {
                view.known_with(from_seq)
            } else {
                last_seq
            };
            let skipped = truth.seen_between(view, place, from_seq, now);
            findings.found_often(Rule::Skipped, skipped.len() as u64, || {
                format!("{who}: conversation {conversation} goes on at {from_seq}, it had {place}")
            });
            if !skipped.is_empty() {
                // They count once.
                self.session.places.insert(conversation, from_seq - 1);
                return;
            }
        }
        self.session.places.entry(conversation).or_insert(place);
    }

    fn entry(&mut self, seen: &Seen, who: &Who, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        let (conversation, seq) = (seen.conversation, seen.seq);
        let nothing = Truth::default();
        let truth = truths.get(&conversation).unwrap_or(&nothing);
        if !truth.compare(seen, findings, || who.to_string()) {
            // An invented entry says nothing about the place.
            return;
        }
        let view = view(&mut self.views, conversation, who.user_id, truth);
        if !view.has(seq) {
            findings.found(Rule::Leaked, || {
                format!("{who}: {seq} of conversation {conversation}")
            });
            return;
        }
        let have = self.have.entry(conversation).or_insert(seq);
        *have = (*have).max(seq);
        let Some(place) = self.session.places.get_mut(&conversation) else {
            findings.found(Rule::Unannounced, || {
                format!("{who}: {seq} of conversation {conversation}")
            });
            self.session.places.insert(conversation, seq);
            return;
        };
        let passed = self.session.passed.entry(conversation).or_default();
        if seq <= *place {
            if passed.remove(&seq) {
                findings.taken_back(Rule::EntryLost);
                findings.found(Rule::EntryReordered, || {
                    format!("{who}: {seq} of conversation {conversation} after {place}")
                });
            } else {
                findings.found(Rule::EntryDoubled, || {
                    format!("{who}: {seq} of conversation {conversation}, it had {place}")
                });
            }
            return;
        }
        let lost = truth.seen_between(view, *place, seq, view.known_with(seq));
        let shown_later = truth.seen_between(view, *place, seq, i64::MAX);
        let holes = shown_later.into_iter().filter(|hole| !lost.contains(hole));
        self.holes.entry(conversation).or_default().extend(holes);
        findings.found_often(Rule::EntryLost, lost.len() as u64, || {
            format!("{who}: conversation {conversation}: {seq} came after {place}")
        });
        passed.extend(lost);
        *place = seq;
    }

    fn paged(&mut self, seen: &Seen, who: &Who, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        let Some(truth) = truths.get(&seen.conversation) else {
            return findings.found(Rule::Invented, || {
                format!("{who}: a page of conversation {}", seen.conversation)
            });
        };
        if !truth.compare(seen, findings, || format!("{who}, a page")) {
            return;
        }
        let view = view(&mut self.views, seen.conversation, who.user_id, truth);
        if !view.has(seen.seq) {
            findings.found(Rule::Leaked, || format!("{who}: a page has {}", seen.seq));
        }
        let Some(page) = &mut self.page else { return };
        if seen.seq <= page.last {
            return findings.found(Rule::PageOrder, || {
                format!("{who}: {} after {}", seen.seq, page.last)
            });
        }
        let lacks = truth.seen_between(view, page.last, seen.seq, view.known_with(seen.seq));
        findings.found_often(Rule::PageLacks, lacks.len() as u64, || {
            format!(
                "{who}: {} after {} of conversation {}",
                seen.seq, page.last, page.conversation
            )
        });
        page.last = seen.seq;
    }

    fn page_ended(&mut self, who: &Who, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        let Some(page) = self.page.take() else { return };
        let Some(truth) = truths.get(&page.conversation) else {
            return;
        };
        if page.has_more {
            return;
        }
        let view = view(&mut self.views, page.conversation, who.user_id, truth);
        let lacks = truth.seen_between(view, page.last, page.durable_seq + 1, page.durable_seq);
        findings.found_often(Rule::PageLacks, lacks.len() as u64, || {
            format!(
                "{who}: ends at {} of conversation {}",
                page.last, page.conversation
            )
        });
    }

    /// When everything is quiet: connected, synced, and nothing is missing.
    pub(super) fn end(&mut self, who: &Who, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        if !self.is_used && !who.stays {
            return;
        }
        if who.stays && !(self.session.is_open && self.session.is_synced) {
            findings.found(Rule::NotSynced, || who.to_string());
        }
        if !who.stays {
            return;
        }
        for (conversation, truth) in truths {
            let view = view(&mut self.views, *conversation, who.user_id, truth);
            if view.is_empty() {
                continue;
            }
            let have = self.have.get(conversation).copied().unwrap_or(0);
            let have = have.max(self.session.places.get(conversation).copied().unwrap_or(0));
            let lacks = truth.seen_between(view, have, i64::MAX, i64::MAX).len();
            let holes = self.holes.get(conversation).map_or(0, BTreeSet::len);
            findings.found_often(Rule::NeverCame, (lacks + holes) as u64, || {
                format!(
                    "{who}: conversation {conversation} has {}, it has {have} and {holes} holes",
                    truth.last_seq()
                )
            });
        }
    }
}

impl Course {
    /// The app begins another copy.
    fn drop_copy(&mut self, conversation: i64) {
        self.have.remove(&conversation);
        self.holes.remove(&conversation);
    }
}

fn view<'v>(views: &'v mut HashMap<i64, View>, conversation: i64, user_id: i64, truth: &Truth) -> &'v View {
    views.entry(conversation).or_insert_with(|| truth.view(user_id))
}
