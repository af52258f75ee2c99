//! The limit of a body: the length of its fields at their limits, however they are escaped.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
};

use parking_lot::RwLock;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ArrayItems, Object},
    },
};

use crate::http::error::ErrorCode;

/// The lowest limit of a body, bytes.
pub(super) const MIN_BODY_BYTES: usize = ErrorCode::BodyTooLarge.limit() as usize * 1024;
/// Allowance for white space and for fields of later app versions, bytes.
const SLACK_BYTES: usize = 4 * 1024;
/// A character beyond the basic plane as JSON may write it, bytes: `\ud83d\ude00`.
const CHARACTER_BYTES: usize = 12;
/// The longest number, enumeration value, date or code, bytes.
const SHORT_BYTES: usize = 64;
/// Quotes, colon and comma around a field, bytes.
const PUNCTUATION_BYTES: usize = 6;
/// Nesting of schemas; ours have a depth of about five.
const MAX_DEPTH: usize = 16;

type Named = BTreeMap<String, RefOr<Schema>>;

/// The longest body for a type, bytes.
pub(super) fn max_body_bytes<T: ToSchema + 'static>() -> usize {
    /// The limits that are computed already, by type.
    static KNOWN: RwLock<Option<HashMap<TypeId, usize>>> = RwLock::new(None);
    let id = TypeId::of::<T>();
    if let Some(bytes) = KNOWN.read().as_ref().and_then(|known| known.get(&id)) {
        return *bytes;
    }
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named: Named = named.into_iter().collect();
    let fields = longest(&T::schema(), &named, MAX_DEPTH);
    let bytes = (fields + SLACK_BYTES).next_multiple_of(1024).max(MIN_BODY_BYTES);
    KNOWN.write().get_or_insert_default().insert(id, bytes);
    bytes
}

/// The longest value of a schema, bytes.
fn longest(schema: &RefOr<Schema>, named: &Named, depth: usize) -> usize {
    let Some(depth) = depth.checked_sub(1) else {
        return SHORT_BYTES;
    };
    let any = |items: &[RefOr<Schema>]| items.iter().map(|item| longest(item, named, depth)).sum();
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or("");
            named
                .get(name)
                .map_or(SHORT_BYTES, |schema| longest(schema, named, depth))
        }
        RefOr::T(Schema::Object(object)) => longest_object(object, named, depth),
        RefOr::T(Schema::Array(array)) => {
            let item = match &array.items {
                ArrayItems::RefOrSchema(item) => longest(item, named, depth),
                ArrayItems::False => 0,
            };
            array.max_items.unwrap_or(0) * (item + PUNCTUATION_BYTES)
        }
        RefOr::T(Schema::OneOf(one)) => any(&one.items),
        RefOr::T(Schema::AllOf(all)) => any(&all.items),
        RefOr::T(Schema::AnyOf(either)) => any(&either.items),
        RefOr::T(_) => SHORT_BYTES,
    }
}

fn longest_object(object: &Object, named: &Named, depth: usize) -> usize {
    let fields: usize = object
        .properties
        .iter()
        .map(|(name, field)| name.len() + PUNCTUATION_BYTES + longest(field, named, depth))
        .sum();
    let text = object
        .max_length
        .map_or(SHORT_BYTES, |length| length * CHARACTER_BYTES);
    fields + text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input::Text;

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Page {
        title: Option<Text<1, 64>>,
        text: Text<0, 20_000>,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Book {
        page: Page,
        name: Text<1, 100>,
    }

    #[test]
    fn a_body_is_as_long_as_its_fields_however_they_are_escaped() {
        assert_eq!(max_body_bytes::<Text<1, 64>>(), MIN_BODY_BYTES);
        let page = max_body_bytes::<Page>();
        assert!(page > 20_064 * CHARACTER_BYTES, "{page}");
        assert!(page < 20_064 * CHARACTER_BYTES + 16 * 1024, "{page}");
        assert!(max_body_bytes::<Book>() >= page + 1024);
        assert_eq!(max_body_bytes::<Page>(), page);
    }
}
