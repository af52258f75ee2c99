//! Sentences about deadlines.

use proto::wire::DeadlineEvent;

use super::Language;

impl Language {
    /// The sentence about a deadline, due at the time `due`; `None` for a kind newer than this program.
    pub(in super::super) fn deadline(self, deadline: &DeadlineEvent, due: &str) -> Option<String> {
        Some(match (deadline.kind.as_str(), deadline.state.as_str()) {
            ("first_answer", "set") => self.first_answer(due),
            ("first_answer", "met") => self.pick("医生已在期限内回复", "a doctor has answered in time"),
            ("first_answer", "lifted") => self.pick("回复期限已取消", "an answer is no longer due"),
            ("first_answer", "fired") => self.pick(
                "已超过回复期限，医生尚未回复",
                "the answer is overdue: no doctor has written yet",
            ),
            ("answer_reminder", "fired") => self.pick(
                "尚无医生回复，已提醒团队",
                "no doctor has written yet; the team is reminded",
            ),
            ("answer_reminder", "set") => match self {
                Self::Chinese => format!("若尚无医生回复，将在 {due} 提醒团队"),
                Self::English => format!("without an answer the team is reminded at {due}"),
            },
            ("answer_reminder", "lifted" | "met") => {
                self.pick("无需再提醒团队回复", "the team need not be reminded")
            }
            ("silence_warning", "set") => match self {
                Self::Chinese => format!("若一直没有新消息，将在 {due} 提醒"),
                Self::English => format!("without a new message a warning comes at {due}"),
            },
            ("silence_warning", "fired") => self.pick(
                "多日没有新消息，咨询即将自动结束",
                "nothing was written for days: the consult ends soon by itself",
            ),
            ("silence_end", "set") => self.silence_end(due),
            ("silence_end", "fired") => self.pick(
                "多日没有新消息，咨询自动结束",
                "nothing was written for days: the consult ends",
            ),
            ("silence_end" | "silence_warning", "lifted" | "met") => {
                self.pick("咨询不再自动结束", "the consult no longer ends by itself")
            }
            _ => return None,
        })
    }

    /// The next deadline of a conversation, shown under its title.
    pub(in super::super) fn next_deadline(self, kind: &str, due: &str) -> Option<String> {
        let sentence = match kind {
            "first_answer" => self.first_answer(due),
            "silence_end" => self.silence_end(due),
            _ => return None,
        };
        Some(format!("── {sentence} ──"))
    }

    fn first_answer(self, due: &str) -> String {
        match self {
            Self::Chinese => format!("医生将在 {due} 前回复"),
            Self::English => format!("a doctor answers by {due}"),
        }
    }

    fn silence_end(self, due: &str) -> String {
        match self {
            Self::Chinese => format!("若一直没有新消息，咨询将于 {due} 自动结束"),
            Self::English => format!("without a new message the consult ends at {due}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_each_deadline_that_passes() {
        for kind in [
            "answer_reminder",
            "first_answer",
            "silence_warning",
            "silence_end",
        ] {
            let fired = DeadlineEvent {
                kind: kind.into(),
                state: "fired".into(),
                ..DeadlineEvent::default()
            };
            for language in [Language::Chinese, Language::English] {
                assert!(language.deadline(&fired, "").is_some(), "{kind}");
            }
        }
        let set = DeadlineEvent {
            kind: "first_answer".into(),
            state: "set".into(),
            ..DeadlineEvent::default()
        };
        let line = Language::Chinese.deadline(&set, "09:30");
        assert_eq!(line.as_deref(), Some("医生将在 09:30 前回复"));
        assert_eq!(Language::English.deadline(&DeadlineEvent::default(), ""), None);
    }
}
