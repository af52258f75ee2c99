//! What comes in with a request, read into types that cannot be wrong.

mod ascii;
mod body;
mod canonical;
mod clean;
mod date;
mod fold;
mod given;
mod id;
mod language;
mod media;
mod name;
mod number;
mod page;
mod path;
mod rule;
mod size;
mod target;
mod text;
mod unicode;

pub use ascii::{Ascii, DeviceId};
pub use body::{Json, Nothing, Write};
pub use date::BirthDate;
pub use fold::folded;
pub use given::Given;
pub use id::{Fen, Id};
pub use language::preferred_language;
pub use media::{PhotoId, Uri};
pub(crate) use name::Name;
pub use name::NameQuery;
pub use number::Within;
pub(crate) use page::{CURSOR_PATTERN, DEFAULT_LIMIT, MAX_LIMIT};
pub use page::{Cursor, PageQuery};
pub use path::{PathId, PathIds, PathText};
pub use target::check_target;
pub use text::{Line, Text};

pub(crate) use canonical::hash_json;
pub(crate) use media::check_uri;
pub(crate) use rule::broken;
pub(crate) use target::decoded;
