//! The place of each table where a database is spread over machines (docs/decisions/0019-distributed.md).

/// The place of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Rows lie on the machine of their conversation, which this column names.
    OfConversation(&'static str),
    /// On the coordinator, known to Citus: a transaction that also writes to a conversation commits in two phases.
    Coordinator,
}

/// Tables with one place, and the reason for it.
pub(crate) struct Group {
    pub(crate) place: Place,
    pub(crate) reason: &'static str,
    pub(crate) tables: &'static [&'static str],
}

/// The table whose shards the others of [`Place::OfConversation`] lie beside.
pub(crate) const FIRST: &str = "conversation";

/// The directory: the conversations of each user and of each medium. It has rows only where conversations lie on several
/// machines.
pub(crate) const OF_USERS: &str = "user_conversation";
pub(crate) const OF_MEDIA: &str = "media_conversation";

/// Every table, but for the history of migrations, which no transaction of ours joins with another one.
pub(crate) const LAYOUT: &[Group] = &[
    Group {
        place: Place::OfConversation("id"),
        reason: "its row is the version that every message of the conversation compares and sets",
        tables: &[FIRST],
    },
    Group {
        place: Place::OfConversation("conversation_id"),
        reason: "they grow with the messages, and a message writes to those of one conversation",
        tables: &[
            "participant",
            "entry",
            "sent",
            "mark",
            "correction",
            "media_entry",
        ],
    },
    Group {
        place: Place::Coordinator,
        reason: "unique keys (a phone, a token, a push token) name no column that all rows could be spread by",
        tables: &[
            "account",
            "account_gram",
            "user_notice",
            "device",
            "device_ended",
            "known_device",
            "sms_code",
            "budget",
            "idempotency",
            "operator",
            "audit",
            "member_profile",
            "doctor_profile",
            "doctor_verification",
            "family",
            "family_invitation",
            "chat",
        ],
    },
    Group {
        place: Place::Coordinator,
        reason: "who asks for the rows of one user or one medium would ask every machine",
        tables: &[OF_USERS, OF_MEDIA, "hidden_conversation"],
    },
    Group {
        place: Place::Coordinator,
        reason: "lists of users, teams and deadlines walk one index over all consults",
        tables: &[
            "consult",
            "consult_person",
            "consult_gram",
            "consult_deadline",
            "consult_rating",
            "consult_refusal",
            "vas",
            "vas_person",
        ],
    },
    Group {
        place: Place::Coordinator,
        reason: "names and invitations are unique over all teams and clinics",
        tables: &[
            "team",
            "team_doctor",
            "team_member",
            "team_agreement",
            "team_acceptance",
            "team_gram",
            "team_invitation",
            "team_answer",
            "clinic",
            "clinic_doctor",
            "clinic_invitation",
            "doctor_invitation",
            "place_block",
            "place_offer",
            "membership",
        ],
    },
    Group {
        place: Place::Coordinator,
        reason: "a transfer moves money between accounts of users, teams and consults, and its cause is unique over all",
        tables: &[
            "ledger_account",
            "transfer",
            "posting",
            "income_month",
            "commission",
            "consult_charge",
            "refund",
            "payee",
            "withdrawal",
            "withdrawal_export",
            "credit",
            "reversal",
            "payment_order",
            "payment_notice",
            "payment_refund",
            "bill",
            "bill_item",
            "mockpay_order",
            "mockpay_refund",
        ],
    },
    Group {
        place: Place::Coordinator,
        reason: "an upload belongs to no conversation until a message names it, and its key in the store is unique",
        tables: &["media", "media_record"],
    },
    Group {
        place: Place::Coordinator,
        reason: "a few rows for the whole fleet",
        tables: &["sequence", "fleet", "secret", "job"],
    },
];

/// The place of a table.
pub(crate) fn place(table: &str) -> Option<Place> {
    let group = LAYOUT.iter().find(|group| group.tables.contains(&table));
    group.map(|group| group.place)
}

/// The tables that are spread by a column, and the column: tests hold statements against them.
#[doc(hidden)]
pub fn of_conversation() -> Vec<(&'static str, &'static str)> {
    let column = |group: &Group| match group.place {
        Place::OfConversation(column) => Some((group.tables, column)),
        Place::Coordinator => None,
    };
    let spread = LAYOUT.iter().filter_map(column);
    spread
        .flat_map(|(tables, column)| tables.iter().map(move |table| (*table, column)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::migrations;

    /// The tables that the steps make on PostgreSQL, and each table with its unique keys.
    fn made() -> BTreeSet<String> {
        let steps = migrations::for_postgres().unwrap();
        let mut made = BTreeSet::new();
        for step in &steps {
            for line in step.sql().unwrap_or_default().lines() {
                if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                    made.insert(rest.split([' ', '(']).next().unwrap().to_owned());
                }
            }
        }
        made
    }

    #[test]
    fn every_table_has_one_place() {
        let placed: Vec<&str> = LAYOUT.iter().flat_map(|group| group.tables).copied().collect();
        let once: BTreeSet<String> = placed.iter().map(|table| (*table).to_owned()).collect();
        assert_eq!(once.len(), placed.len(), "a table has two places");
        assert_eq!(
            once,
            made(),
            "a new table belongs into LAYOUT, and docs/decisions/0019-distributed.md"
        );
    }

    #[test]
    fn a_place_is_found_by_name() {
        assert_eq!(place("entry"), Some(Place::OfConversation("conversation_id")));
        assert_eq!(place("conversation"), Some(Place::OfConversation("id")));
        assert_eq!(place("account"), Some(Place::Coordinator));
        assert_eq!(place("refinery_schema_history"), None);
        assert!(LAYOUT.iter().all(|group| !group.reason.is_empty()));
    }
}
