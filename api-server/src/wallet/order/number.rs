//! Our numbers of orders and refunds, as providers know them: letters and digits, less than 32.
//!
//! A merchant's numbers must be unique for ever, also beside a database that was restored: so they have the time, too.

fn write(letter: char, id: i64, created_ms: i64) -> String {
    format!("{letter}{created_ms}X{id}")
}

fn read(letter: char, number: &str) -> Option<i64> {
    let (created_ms, id) = number.strip_prefix(letter)?.split_once('X')?;
    let (created_ms, id) = (created_ms.parse().ok()?, id.parse().ok()?);
    // Other spellings of the same numbers are none.
    (write(letter, id, created_ms) == number).then_some(id)
}

/// The number of an order.
pub(crate) fn out_trade_no(order: i64, created_ms: i64) -> String {
    write('T', order, created_ms)
}

/// The order of a number. The caller compares the whole number with its row.
pub(crate) fn order_of(out_trade_no: &str) -> Option<i64> {
    read('T', out_trade_no)
}

/// The number of a refund.
pub(crate) fn out_refund_no(refund: i64, created_ms: i64) -> String {
    write('R', refund, created_ms)
}

/// The refund of a number. The caller compares the whole number with its row.
pub(crate) fn refund_of(out_refund_no: &str) -> Option<i64> {
    read('R', out_refund_no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_as_it_went_and_no_other_spelling_does() {
        let number = out_trade_no(57, 1_796_000_000_000);
        assert_eq!(number, "T1796000000000X57");
        assert_eq!(order_of(&number), Some(57));
        assert_eq!(refund_of(&out_refund_no(58, 1)), Some(58));
        let longest = out_trade_no(proto::ids::MAX_ID, 9_999_999_999_999);
        assert!(longest.len() < 32 && longest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        for other in [
            "",
            "T",
            "TX",
            "T1X",
            "TX5",
            "R1X5",
            "t1X5",
            "T1X05",
            "T01X5",
            "T1X+5",
            "T1X5 ",
            "T1X99999999999999999999",
            "T1X5X6",
        ] {
            assert_eq!(order_of(other), None, "{other}");
        }
    }
}
