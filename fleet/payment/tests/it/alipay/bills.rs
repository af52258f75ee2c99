//! Bills of a day.

use std::io::{Cursor, Write};

use payment::{Day, Failure};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::stand_in::{Mood, StandIn};

fn archive() -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("1.csv", SimpleFileOptions::default()).unwrap();
    let text = "#支付宝业务明细查询\n支付宝交易号,商户订单号,业务类型,订单金额（元）,退款批次号/请求号\n\
                2026\t,T1\t,交易,88.88,\t\n2026\t,T1\t,退款,-0.10,R1\t\n#业务明细列表结束\n";
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_bill_is_fetched_from_the_vendor_alone() {
    let vendor = StandIn::start().await;
    vendor.books.lock().bill = archive();
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
        (Mood::WrongSignature, "a wrong signature"),
    ] {
        vendor.mood(mood);
        let failure = vendor.driver.bill(day).await.unwrap_err();
        let is_away = matches!(&failure, Failure::Away(why) if why.contains(says));
        assert!(is_away, "{mood:?}: {failure}");
    }
    vendor.mood(Mood::Honest);
    vendor.books.lock().bill = b"<html>".to_vec();
    assert!(matches!(vendor.driver.bill(day).await, Err(Failure::Away(_))));
}
