//! The content of messages: the registry of MIME types, and the uris of media.

pub mod media;
pub mod mime;
