//! The clocks of teams: what they promise to who opens a consult.

/// The clock of a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Minutes until a doctor writes: one is the shortest that the product knows.
    pub answer_minutes: i64,
    /// Minutes before that when the team is reminded; 0: it is not.
    pub reminder_minutes: i64,
    /// Days without a message until the end; 0: none.
    pub silence_days: i64,
}

impl Clock {
    /// That of the team of a conversation, by its number: by turns the shortest, and one with everything in it.
    pub const fn of(number: usize) -> Self {
        if number.is_multiple_of(2) {
            Self {
                answer_minutes: 1,
                reminder_minutes: 0,
                silence_days: 0,
            }
        } else {
            Self {
                answer_minutes: 2,
                reminder_minutes: 1,
                silence_days: 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_team_reminds() {
        let reminds = |number| Clock::of(number).reminder_minutes > 0;
        assert_eq!([0, 1, 2, 3].map(reminds), [false, true, false, true]);
    }
}
