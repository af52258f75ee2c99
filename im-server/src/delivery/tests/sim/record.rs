//! One conversation of the simulated journal.

use std::collections::BTreeMap;

use bytes::Bytes;
use journal::{
    Entry,
    conversation::Conversation,
    history::{Feed, spans::Span},
    overview::Overview,
};
use proto::{
    ConversationId, Seq, UserId,
    wire::{ConversationKind, EntryKind, ParticipantEvent, Role, entry::Event},
};

#[derive(Default)]
pub(in super::super) struct Record {
    pub(super) entries: Vec<(EntryKind, i64)>,
    /// Spans and their numbers, by user.
    pub(super) spans: BTreeMap<i64, Vec<(Span, i64)>>,
    pub(super) changed_no: i64,
}

impl Record {
    pub(in super::super) fn last_seq(&self) -> i64 {
        self.entries.len() as i64
    }

    pub(in super::super) fn has(&self, user: i64) -> bool {
        let last = self.spans.get(&user).and_then(|spans| spans.last());
        last.is_some_and(|(span, _)| span.to.is_none())
    }

    /// The first seq after `seq` that a user may see.
    pub(in super::super) fn next_visible(&self, user: i64, seq: i64) -> Option<i64> {
        self.next_visible_as_of(user, seq, i64::MAX)
    }

    /// The same by the stays that began up to the entry `now`: a reader of that entry knows of them.
    pub(in super::super) fn next_visible_as_of(&self, user: i64, seq: i64, now: i64) -> Option<i64> {
        let spans = self.spans.get(&user)?;
        let begun = spans.iter().filter(|(span, _)| span.from.get() <= now);
        let first = |(span, _): &(Span, i64)| {
            let first = span.sees_from.get().max(seq + 1);
            (first <= span.to.map_or(self.last_seq(), Seq::get)).then_some(first)
        };
        begun.filter_map(first).min()
    }

    /// The stays that a node knows of that sends an entry: those that began up to the result.
    pub(in super::super) fn known_with(&self, user: i64, seq: i64) -> i64 {
        let spans = self.spans.get(&user).into_iter().flatten();
        let mut shows = spans.filter(|(span, _)| span.shows(Seq::from_database(seq)));
        shows.next().map_or(seq, |(span, _)| span.from.get().max(seq))
    }

    /// Whether a copy up to `have` may lack something before `from_seq`.
    pub(in super::super) fn must_drop(&self, user: i64, have: i64, from_seq: i64) -> bool {
        let next = self.next_visible(user, have);
        self.reveals(user, have) || next.is_some_and(|next| next < from_seq)
    }

    /// Whether it may lack what its user was shown later.
    fn reveals(&self, user: i64, have: i64) -> bool {
        let Some(spans) = self.spans.get(&user) else {
            return false;
        };
        let shown = |seq: i64, spans: &[(Span, i64)]| {
            spans.iter().any(|(span, _)| span.shows(Seq::from_database(seq)))
        };
        let made_in = spans
            .iter()
            .position(|(span, _)| span.to.is_none_or(|to| have <= to.get()));
        made_in.is_some_and(|at| (1..=have).any(|seq| shown(seq, spans) && !shown(seq, &spans[..=at])))
    }

    pub(in super::super) fn last_visible(&self, user: i64) -> Option<i64> {
        let (span, _) = self.spans.get(&user)?.last()?;
        Some(span.to.map_or(self.last_seq(), Seq::get))
    }

    /// Spans as numbers, for the text of a failure.
    pub(in super::super) fn spans_of(&self, user: i64) -> Vec<(i64, i64, Option<i64>)> {
        let spans = self.spans.get(&user).into_iter().flatten();
        spans
            .map(|(span, _)| (span.sees_from.get(), span.from.get(), span.to.map(Seq::get)))
            .collect()
    }

    pub(super) fn overview(&self, id: i64, user: i64) -> Option<Overview> {
        let spans = self.spans.get(&user)?;
        let (last, last_no) = *spans.last()?;
        Some(Overview {
            conversation: Conversation {
                id: ConversationId::from_database(id),
                kind: ConversationKind::Consult,
                consult_id: None,
                epoch: 1,
                open: true,
                title: String::new(),
                last_seq: Seq::from_database(self.last_seq()),
                updated_ms: 0,
                deadline: None,
            },
            spans: spans.iter().map(|(span, _)| *span).collect(),
            span_nos: spans.iter().map(|(_, no)| *no).collect(),
            changed_no: if last.to.is_none() {
                self.changed_no
            } else {
                last_no
            },
            role: Role::Doctor,
            received_seq: Seq::ZERO,
            read_seq: Seq::ZERO,
        })
    }

    pub(super) fn feed(&self, user: i64, after: i64, limit: usize, id: i64) -> Feed {
        let mut seqs = Vec::new();
        let mut at = after;
        while let Some(next) = self.next_visible(user, at)
            && seqs.len() <= limit
        {
            seqs.push(next);
            at = next;
        }
        let has_more = seqs.len() > limit;
        seqs.truncate(limit);
        let end = self.last_visible(user).unwrap_or(0);
        let through = match seqs.last() {
            Some(last) if has_more => *last,
            _ => end.max(after),
        };
        Feed {
            entries: seqs.iter().map(|seq| self.entry(id, *seq)).collect(),
            through: Seq::from_database(through),
            has_more,
            has_left: !self.has(user),
            spans: self.ended_spans(user),
        }
    }

    /// Spans, each with an end.
    fn ended_spans(&self, user: i64) -> Vec<Span> {
        let spans = self.spans.get(&user).into_iter().flatten();
        let ended = spans.map(|(span, _)| Span {
            to: span.to.or(Some(Seq::from_database(self.last_seq()))),
            ..*span
        });
        ended.collect()
    }

    pub(in super::super) fn entry(&self, id: i64, seq: i64) -> Entry {
        let (kind, user) = self.entries[seq as usize - 1];
        let event = (kind != EntryKind::Message).then(|| {
            Event::Participant(ParticipantEvent {
                user_id: user,
                ..Default::default()
            })
        });
        Entry {
            conversation: ConversationId::from_database(id),
            seq: Seq::from_database(seq),
            sender: UserId::from_database(user),
            kind,
            created_ms: 0,
            client_msg_id: String::new(),
            mime_type: String::new(),
            body: Bytes::new(),
            reply_to_seq: Seq::ZERO,
            corrects_seq: Seq::ZERO,
            mentions: Vec::new(),
            event,
            recalled: false,
        }
    }
}
