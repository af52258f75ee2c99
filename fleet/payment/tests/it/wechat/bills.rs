//! Bills of a day.

use payment::{Day, Failure};

use super::stand_in::{Mood, StandIn};

#[tokio::test]
async fn a_bill_is_fetched_and_its_hash_compared() {
    let vendor = StandIn::start().await;
    let day = Day::new(20_261_201).unwrap();
    let rows = vendor.driver.bill(day).await.unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.out_trade_no.as_str(),
                row.out_refund_no.as_deref(),
                row.amount.get(),
            )
        })
        .collect();
    assert_eq!(shown, [("T1", None, 8888), ("T1", Some("R1"), 10)]);
    vendor.mood(Mood::NoBill);
    assert_eq!(vendor.driver.bill(day).await, Ok(vec![]));
    for (mood, says) in [
        (Mood::BillElsewhere, "another host"),
        (Mood::BillChanged, "another hash"),
        (Mood::NoBillYet, "STATEMENT_CREATING"),
        (Mood::WrongSignature, "not trusted"),
    ] {
        vendor.mood(mood);
        let failure = vendor.driver.bill(day).await.unwrap_err();
        let is_away = matches!(&failure, Failure::Away(why) if why.contains(says));
        assert!(is_away, "{mood:?}: {failure}");
    }
}
