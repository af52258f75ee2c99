//! The clock of a team: what it promises its patients, and when a silent consult ends by itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{error::Error, input::Within};

/// The clock of a team. A change holds for consults that begin later, and for running ones from their next deadline on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TeamClock)]
pub(crate) struct Clock {
    /// Minutes from the opening of a consult until a doctor writes; absent: nothing is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer_minutes: Option<i64>,
    /// Minutes before the first answer is due when the team is reminded; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reminder_minutes: Option<i64>,
    /// Days without a message after which a consult ends by itself; absent: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) silence_days: Option<i64>,
    /// Days before such an end when the conversation is warned; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) silence_warning_days: Option<i64>,
    /// Days after the end of a consult in which the patient asks further questions free of charge; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) follow_up_days: Option<i64>,
    /// Whether the patient may still cancel once a doctor came in. Before, they always may.
    pub(crate) late_cancel: bool,
}

/// Changes of a team's clock. Absent fields stay as they are; 0 removes one.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChangeTeamClock)]
pub(crate) struct ChangeClock {
    /// At most 30 days.
    answer_minutes: Option<Within<0, 43_200>>,
    /// Less than answer_minutes.
    reminder_minutes: Option<Within<0, 43_199>>,
    silence_days: Option<Within<0, 90>>,
    /// Less than silence_days.
    silence_warning_days: Option<Within<0, 89>>,
    follow_up_days: Option<Within<0, 365>>,
    late_cancel: Option<bool>,
}

impl Clock {
    /// The clock after a change.
    pub(in crate::team) fn changed(self, change: ChangeClock) -> Result<Self, Error> {
        let clock = Self {
            answer_minutes: changed(self.answer_minutes, change.answer_minutes),
            reminder_minutes: changed(self.reminder_minutes, change.reminder_minutes),
            silence_days: changed(self.silence_days, change.silence_days),
            silence_warning_days: changed(self.silence_warning_days, change.silence_warning_days),
            follow_up_days: changed(self.follow_up_days, change.follow_up_days),
            late_cancel: change.late_cancel.unwrap_or(self.late_cancel),
        };
        if !is_before(clock.reminder_minutes, clock.answer_minutes) {
            return Err(Error::invalid(
                "reminder_minutes",
                "应小于 answer_minutes；不设 answer_minutes 时为 0",
                "must be less than answer_minutes, and 0 without answer_minutes",
            ));
        }
        if !is_before(clock.silence_warning_days, clock.silence_days) {
            return Err(Error::invalid(
                "silence_warning_days",
                "应小于 silence_days；不设 silence_days 时为 0",
                "must be less than silence_days, and 0 without silence_days",
            ));
        }
        Ok(clock)
    }
}

fn changed<const MIN: i64, const MAX: i64>(
    present: Option<i64>,
    change: Option<Within<MIN, MAX>>,
) -> Option<i64> {
    change.map_or(present, |change| Some(change.get()).filter(|number| *number > 0))
}

/// Whether a notice comes between the beginning and the end of what it is a notice of.
fn is_before(notice: Option<i64>, end: Option<i64>) -> bool {
    notice.is_none_or(|notice| end.is_some_and(|end| notice < end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> ChangeClock {
        serde_json::from_str(json).unwrap()
    }

    fn refused(clock: Clock, json: &str) -> Option<String> {
        let error = clock.changed(change(json)).err()?;
        error.at().map(str::to_owned)
    }

    #[test]
    fn absent_fields_stay_and_zero_removes() {
        let clock = Clock::default()
            .changed(change(
                r#"{"answer_minutes": 60, "reminder_minutes": 15, "late_cancel": true}"#,
            ))
            .unwrap();
        assert_eq!(
            (clock.answer_minutes, clock.reminder_minutes, clock.late_cancel),
            (Some(60), Some(15), true)
        );
        let clock = clock.changed(change(r#"{"silence_days": 7}"#)).unwrap();
        assert_eq!((clock.answer_minutes, clock.silence_days), (Some(60), Some(7)));
        let none = r#"{"answer_minutes": 0, "reminder_minutes": 0, "silence_days": 0, "late_cancel": false}"#;
        assert_eq!(clock.changed(change(none)).unwrap(), Clock::default());
    }

    #[test]
    fn a_notice_comes_before_its_end() {
        let none = Clock::default();
        let reminder = || Some("reminder_minutes".to_owned());
        assert_eq!(
            refused(none, r#"{"answer_minutes": 60, "reminder_minutes": 60}"#),
            reminder()
        );
        assert_eq!(
            refused(none, r#"{"answer_minutes": 60, "reminder_minutes": 59}"#),
            None
        );
        assert_eq!(refused(none, r#"{"reminder_minutes": 5}"#), reminder());
        let warning = || Some("silence_warning_days".to_owned());
        assert_eq!(
            refused(none, r#"{"silence_days": 3, "silence_warning_days": 3}"#),
            warning()
        );
        assert_eq!(
            refused(none, r#"{"silence_days": 3, "silence_warning_days": 2}"#),
            None
        );
        assert_eq!(refused(none, r#"{"silence_warning_days": 1}"#), warning());
        let set = Clock {
            answer_minutes: Some(60),
            reminder_minutes: Some(30),
            ..none
        };
        assert_eq!(refused(set, r#"{"answer_minutes": 30}"#), reminder());
        assert_eq!(refused(set, r#"{"answer_minutes": 0}"#), reminder());
    }
}
