//! Recordings: their duration, by walking from frame to frame. Frames have no metadata; a medium that does not end with a
//! frame is cut off.

mod adts;
mod amr;
mod ogg;

pub(super) use self::{adts::Adts, amr::Amr, ogg::Ogg};
