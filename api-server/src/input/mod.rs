//! What comes in with a request, read into types that cannot be wrong.

mod body;
mod date;
mod given;
mod id;
mod language;
mod name;
mod number;
mod page;
mod path;
mod rule;
mod text;

pub use body::{Json, Nothing, Write};
pub use date::BirthDate;
pub use given::Given;
pub use id::{Fen, Id};
pub use language::preferred_language;
pub(crate) use name::Name;
pub use name::NameQuery;
pub use number::Within;
pub(crate) use page::{CURSOR_PATTERN, DEFAULT_LIMIT, MAX_LIMIT};
pub use page::{Cursor, PageQuery};
pub use path::{PathId, PathIds, PathText};
pub use text::Text;

pub(crate) use rule::broken;
