//! What is wrong with a backplane though it answers.

/// Something that an operator should mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Whether the fleet will not work as it should; else it will, for a while.
    pub is_grave: bool,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}
