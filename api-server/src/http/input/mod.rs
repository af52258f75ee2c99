//! Input of requests, parsed into types that cannot hold invalid values.

mod body;
mod date;
mod given;
mod language;
mod media;
mod number;
mod page;
mod path;
mod text;

pub use body::{Json, Nothing, Raw, Write};
pub use date::BirthDate;
pub use given::Given;
pub use language::preferred_language;
pub use media::{PhotoId, Uri};
pub use number::{Fen, Id, Within};
pub(crate) use page::{CURSOR_PATTERN, DEFAULT_LIMIT, MAX_LIMIT};
pub use page::{Cursor, PageQuery};
pub use path::{PathId, PathIdMonth, PathIds, PathText, check_target};
pub use text::{Ascii, DeviceId, Line, NameQuery, Text, folded};
pub(crate) use text::{Name, NamePart, Search, pieces};

pub(crate) use body::{broken, hash_json};
pub(crate) use media::check_uri;
pub(crate) use path::{decoded, month};
