//! Three months of a team, as data: who paid for which advice, in Chinese and English.

/// The prices of the team, fen.
pub(in super::super) const MEMBERSHIP_FEE_FEN: i64 = 30_000;
pub(in super::super) const CONSULT_PRICE_FEN: i64 = 5_000;
/// The platform's share.
pub(super) const COMMISSION_PER_MILLE: i64 = 100;

/// A moment: months before the present one, day and hour in Asia/Shanghai.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When {
    /// Descending in the story: 3, 2, 1, 0.
    pub(super) months_ago: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
}

/// An event of the story.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The platform sets its commission.
    Commission,
    /// A patient tops up by mockpay, fen.
    TopUp(usize, i64),
    /// A patient joins the team.
    Join(usize),
    /// A consult from beginning to end.
    Visit(&'static Visit),
    /// The owner names a bank account.
    Payee,
    /// The owner withdraws all that is withdrawable.
    Withdraw,
    /// Two operators pay it out.
    PayOut,
}

/// A consult.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) patient: usize,
    pub(super) doctor: usize,
    pub(super) symptom: &'static str,
    pub(super) service: Option<Service>,
    pub(super) end: End,
}

/// A value-added service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) price_fen: i64,
    pub(super) confirmed: bool,
}

/// The end of a consult.
#[derive(Debug)]
pub(super) enum End {
    Finished,
    Cancelled,
    /// Finished, and its price given back with a reason.
    Refunded(&'static str),
    /// Finished, and a part of the service's price given back, fen.
    ServiceRefunded(i64, &'static str),
}

const fn at(months_ago: i8, day: i8, hour: i8) -> When {
    When {
        months_ago,
        day,
        hour,
    }
}

const fn visit(
    patient: usize,
    doctor: usize,
    symptom: &'static str,
    service: Option<Service>,
    end: End,
) -> Visit {
    Visit {
        patient,
        doctor,
        symptom,
        service,
        end,
    }
}

const fn service(name: &'static str, description: &'static str, price_fen: i64) -> Option<Service> {
    Some(Service {
        name,
        description,
        price_fen,
        confirmed: true,
    })
}

/// In the order of time. Patients: 0 张女士, 1 王先生, 2 Emily Carter; doctors: 0 李医生, 1 陈医生.
pub(super) const STORY: &[(When, Event)] = &[
    (at(3, 1, 8), Event::Commission),
    (at(3, 1, 19), Event::TopUp(0, 100_000)),
    (at(3, 1, 20), Event::Join(0)),
    (
        at(3, 3, 9),
        Event::Visit(
            &const {
                visit(
                    0,
                    0,
                    "孕 12 周，晨吐明显",
                    service("产检报告解读", "逐项解读本次产检报告", 6_800),
                    End::Finished,
                )
            },
        ),
    ),
    (at(3, 5, 12), Event::TopUp(1, 100_000)),
    (at(3, 5, 13), Event::Join(1)),
    (
        at(3, 5, 15),
        Event::Visit(
            &const {
                let plan = service("家庭血压监测方案", "两周，每天早晚各一次", 12_800);
                visit(1, 1, "血压偏高，最近头晕", plan, End::Finished)
            },
        ),
    ),
    (at(3, 10, 21), Event::TopUp(2, 100_000)),
    (at(3, 10, 22), Event::Join(2)),
    (
        at(3, 11, 10),
        Event::Visit(
            &const {
                let plan = service("Sleep and nutrition plan", "Four weeks, reviewed weekly", 19_800);
                visit(2, 0, "Second trimester, trouble sleeping", plan, End::Finished)
            },
        ),
    ),
    (
        at(3, 19, 16),
        Event::Visit(&const { visit(0, 1, "牙龈出血", None, End::Finished) }),
    ),
    (
        at(3, 26, 11),
        Event::Visit(
            &const {
                let declined = Service {
                    name: "电话随访三次",
                    description: "一个月内",
                    price_fen: 15_000,
                    confirmed: false,
                };
                visit(1, 0, "体检报告看不懂", Some(declined), End::Finished)
            },
        ),
    ),
    (
        at(2, 3, 9),
        Event::Visit(
            &const {
                let video = service("Video follow-up", "Fifteen minutes, in three days", 9_900);
                visit(2, 1, "Vaccines before travelling", video, End::Finished)
            },
        ),
    ),
    (
        at(2, 8, 10),
        Event::Visit(
            &const {
                let genetics = service("遗传咨询", "视频 30 分钟", 26_000);
                visit(0, 0, "孕 17 周，唐筛结果咨询", genetics, End::Finished)
            },
        ),
    ),
    (
        at(2, 15, 14),
        Event::Visit(
            &const {
                let advice = service("用药指导", "调整降压药，随访两次", 8_000);
                visit(
                    1,
                    1,
                    "换降压药后乏力",
                    advice,
                    End::ServiceRefunded(4_000, "第二次随访未进行，退一半"),
                )
            },
        ),
    ),
    (at(2, 20, 9), Event::Payee),
    (
        at(2, 21, 18),
        Event::Visit(&const { visit(0, 1, "预约的时间去不了", None, End::Cancelled) }),
    ),
    (
        at(2, 26, 15),
        Event::Visit(
            &const {
                let diary = service("Diet diary review", "Four weeks", 32_000);
                visit(2, 0, "Glucose screening result", diary, End::Finished)
            },
        ),
    ),
    (at(1, 2, 10), Event::Withdraw),
    (at(1, 3, 20), Event::TopUp(0, 80_000)),
    (
        at(1, 4, 9),
        Event::Visit(
            &const {
                visit(
                    0,
                    0,
                    "孕 21 周，胎动变少",
                    service("胎心监护指导", "在家自测胎心，异常时联系", 15_800),
                    End::Finished,
                )
            },
        ),
    ),
    (at(1, 6, 10), Event::PayOut),
    (
        at(1, 10, 16),
        Event::Visit(&const { visit(1, 0, "咳嗽两周", None, End::Refunded("医生临时停诊，全额退款")) }),
    ),
    (at(1, 16, 20), Event::TopUp(2, 50_000)),
    (
        at(1, 17, 9),
        Event::Visit(
            &const {
                let exercise = service("Exercise programme", "Three sessions a week", 22_000);
                visit(2, 1, "Back pain", exercise, End::Finished)
            },
        ),
    ),
    (
        at(1, 24, 11),
        Event::Visit(
            &const {
                visit(
                    0,
                    1,
                    "餐后血糖偏高",
                    service("孕期饮食方案", "四周，每周调整", 23_800),
                    End::Finished,
                )
            },
        ),
    ),
    (
        at(0, 2, 9),
        Event::Visit(
            &const {
                let plan = service("家庭血压监测方案", "续两周", 12_800);
                visit(1, 1, "复查血压", plan, End::Finished)
            },
        ),
    ),
    (
        at(0, 7, 10),
        Event::Visit(
            &const {
                visit(
                    0,
                    0,
                    "孕 26 周，常规咨询",
                    service("视频产检", "30 分钟", 19_900),
                    End::Finished,
                )
            },
        ),
    ),
    (
        at(0, 16, 15),
        Event::Visit(
            &const {
                let birth = service("Birth plan review", "One hour, with both parents", 18_000);
                visit(2, 0, "Birth plan", birth, End::Finished)
            },
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_goes_forwards() {
        let order = |when: When| (-when.months_ago, when.day, when.hour);
        assert!(STORY.is_sorted_by(|one, other| order(one.0) < order(other.0)));
    }

    /// The ledger would refuse, and the demo not start.
    #[test]
    fn no_patient_spends_more_than_they_have() {
        let (mut wallets, mut fees) = ([0; 3], [0; 3]);
        for (when, event) in STORY {
            match event {
                Event::TopUp(patient, fen) => wallets[*patient] += fen,
                Event::Join(patient) => {
                    wallets[*patient] -= MEMBERSHIP_FEE_FEN;
                    fees[*patient] += MEMBERSHIP_FEE_FEN;
                }
                Event::Visit(visit) => {
                    let fee = CONSULT_PRICE_FEN.min(fees[visit.patient]);
                    fees[visit.patient] -= fee;
                    wallets[visit.patient] -= CONSULT_PRICE_FEN - fee;
                    let confirmed = visit.service.iter().filter(|service| service.confirmed);
                    wallets[visit.patient] -= confirmed.map(|service| service.price_fen).sum::<i64>();
                }
                Event::Commission | Event::Payee | Event::Withdraw | Event::PayOut => {}
            }
            assert!(wallets.iter().all(|fen| *fen >= 0), "{when:?}: {wallets:?}");
        }
    }
}
