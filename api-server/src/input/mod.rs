//! What comes in with a request, read into types that cannot be wrong.

mod body;
mod id;
mod language;
mod page;
mod path;
mod rule;
mod text;

pub use body::{Json, Nothing, Write};
pub use id::{Fen, Id};
pub use language::preferred_language;
pub use page::{Cursor, PageQuery};
pub use path::{PathId, PathIds, PathText};
pub use text::Text;

pub(crate) use rule::broken;
