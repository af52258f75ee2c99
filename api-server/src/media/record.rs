//! Records that name media: a consult, a profile, a verification.

use database::Transaction;
use futures_util::future::BoxFuture;
use journal::media::{self, Kind};
use proto::UserId;

use super::{Media, Purpose, table};
use crate::{
    app::{App, Part},
    caller::User,
    http::error::Error,
};

/// The most records that name one medium: each of them is looked at when the medium is.
const MAX_RECORDS: i64 = 32;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A consult, by its complaint.
    Consult,
    /// The profile of a member or a dependant.
    Member,
    /// A doctor's page.
    Doctor,
    /// The verification of a doctor: for its applicant and operators.
    Verification,
    /// A team's page.
    Team,
    /// A clinic's page.
    Clinic,
}

impl Record {
    const ALL: [Self; 6] = [
        Self::Consult,
        Self::Member,
        Self::Doctor,
        Self::Verification,
        Self::Team,
        Self::Clinic,
    ];

    /// As the database has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Consult => "consult",
            Self::Member => "member",
            Self::Doctor => "doctor",
            Self::Verification => "verification",
            Self::Team => "team",
            Self::Clinic => "clinic",
        }
    }

    /// Reads what the database has; `None` for one of a later release.
    pub(super) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.as_str() == text)
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::Consult => Purpose::Symptom,
            Self::Member | Self::Doctor | Self::Team | Self::Clinic => Purpose::Profile,
            Self::Verification => Purpose::Licence,
        }
    }
}

/// Says of a kind of record who sees it, and with it the media that it names.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) record: Record,
    /// Whether a user sees the record of this id.
    pub(crate) sees: for<'a> fn(&'a App, i64, &'a User) -> BoxFuture<'a, Result<bool, Error>>,
}

/// Those of all domains.
pub(crate) struct Watches(pub(crate) &'static [Watch]);

impl Part for Watches {}

/// A medium as a record names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'t> {
    /// `None` for a uri of another host.
    id: Option<i64>,
    kind: Kind,
    field: &'t str,
}

impl<'t> Named<'t> {
    /// A picture, by its uri or by its id alone.
    pub(crate) fn image(uri: &str, field: &'t str) -> Self {
        let is_uri = uri.contains([':', '/']);
        let id = match is_uri {
            true => media::id(uri),
            false => media::id(&format!("media:{uri}")),
        };
        Self {
            id,
            kind: Kind::Image,
            field,
        }
    }

    /// A medium of the kind of this MIME type.
    pub(crate) fn of_type(uri: &str, mime_type: &str, field: &'t str) -> Self {
        Self {
            id: media::id(uri),
            kind: Kind::of(mime_type),
            field,
        }
    }
}

impl Media {
    /// Writes that a record names media, in the record's transaction: finished ones of the owner, for this purpose and of
    /// this kind. Where the service keeps no media it does nothing.
    ///
    /// Lock order: after the record's row, before ledger accounts and conversations.
    ///
    /// # Errors
    /// [`crate::error::ErrorCode::Invalid`] with the field.
    pub(crate) async fn use_in_record(
        &self,
        tx: &mut Transaction<'_>,
        owner: UserId,
        named: &[Named<'_>],
        record: Record,
        id: i64,
        now_ms: i64,
    ) -> Result<(), Error> {
        for (media_id, field) in self.mark(tx, owner, named, record.purpose(), now_ms).await? {
            table::put_record(tx, media_id, record, id).await?;
            if table::count_records(tx, media_id).await? > MAX_RECORDS {
                return Err(worn(field));
            }
        }
        Ok(())
    }

    /// As [`Self::use_in_record`], for the photo of a profile, where it changes.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn use_photo(
        &self,
        tx: &mut Transaction<'_>,
        owner: UserId,
        (before, after): (Option<&str>, Option<&str>),
        record: Record,
        id: i64,
        now_ms: i64,
    ) -> Result<(), Error> {
        let new = after.filter(|after| before != Some(after));
        let named: Vec<Named<'_>> = new
            .map(|photo| Named::image(photo, "photo_id"))
            .into_iter()
            .collect();
        self.use_in_record(tx, owner, &named, record, id, now_ms).await
    }

    /// Locks media of the owner and marks them as used, in the order of their ids.
    async fn mark<'t>(
        &self,
        tx: &mut Transaction<'_>,
        owner: UserId,
        named: &[Named<'t>],
        purpose: Purpose,
        now_ms: i64,
    ) -> Result<Vec<(i64, &'t str)>, Error> {
        if !self.is_on() {
            return Ok(Vec::new());
        }
        let own = named.iter().filter_map(|named| Some((named.id?, named)));
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|(id, _)| *id);
        let mut marked = Vec::with_capacity(own.len());
        for (id, named) in own {
            let mime_type = table::mark_used(tx, id, owner, purpose, now_ms).await?;
            if !mime_type.is_some_and(|mime_type| named.kind.holds(&mime_type)) {
                return Err(unusable(named.field, purpose));
            }
            marked.push((id, named.field));
        }
        Ok(marked)
    }
}

fn unusable(field: &str, purpose: Purpose) -> Error {
    let purpose = purpose.as_str();
    Error::invalid(
        field.to_owned(),
        format!("应为您本人以 purpose={purpose} 上传并已完成、类型相符的媒体"),
        format!("must be a finished upload of yours with purpose {purpose}, and of the right kind"),
    )
}

fn worn(field: &str) -> Error {
    Error::invalid(
        field.to_owned(),
        format!("该媒体已被 {MAX_RECORDS} 处使用，请重新上传"),
        format!("names media that {MAX_RECORDS} records name already; upload it again"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_named_by_uri_or_id() {
        for (text, id) in [
            ("media:7", Some(7)),
            ("/media/7", Some(7)),
            ("7", Some(7)),
            ("photo-7", Some(0)),
            ("07", Some(0)),
            ("https://media.example.com/7", None),
        ] {
            assert_eq!(Named::image(text, "photo_id").id, id, "{text}");
        }
    }

    #[test]
    fn records_read_back() {
        for record in Record::ALL {
            assert_eq!(Record::from_database(record.as_str()), Some(record));
        }
        assert_eq!(Record::from_database("of a later release"), None);
    }
}
