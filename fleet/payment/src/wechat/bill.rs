//! The bill of a day.

use reqwest::Method;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::Deserialize;
use url::Url;

use super::{
    Wechat,
    answer::{Outcome, unreadable},
    request::Request,
};
use crate::{
    BillRow, Day, Failure,
    wire::{BILL_MAX_BYTES, BILL_TIMEOUT},
};

use ledger::Fen;

/// Where the bill is.
#[derive(Deserialize)]
struct Place {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

impl Wechat {
    pub(crate) async fn bill(&self, day: Day) -> Result<Vec<BillRow>, Failure> {
        let sub_mch_id = self.partner.as_ref().map(|partner| partner.sub_mch_id.as_str());
        let of = sub_mch_id.map_or_else(String::new, |id| format!("&sub_mchid={id}"));
        let path = format!("/v3/bill/tradebill?bill_date={day}&bill_type=ALL{of}");
        let place: Place = match self.call(Request::get(&path)).await? {
            Outcome::Good(body) => serde_json::from_slice(&body).map_err(|_| unreadable())?,
            // No trade that day.
            Outcome::Bad(_, refusal) if refusal.code == "NO_STATEMENT_EXIST" => return Ok(Vec::new()),
            Outcome::Bad(status, refusal) => return Err(refusal.failure(status)),
        };
        let body = self.download(&place).await?;
        let text = std::str::from_utf8(&body).map_err(|_| unreadable())?;
        rows(text, sub_mch_id).ok_or_else(|| Failure::Away("a bill that cannot be read".to_owned()))
    }

    /// The file itself is not signed: the signed answer has its hash.
    async fn download(&self, place: &Place) -> Result<Vec<u8>, Failure> {
        let url = Url::parse(&place.download_url).map_err(|_| unreadable())?;
        if !self.client.is_own(&url) {
            return Err(Failure::Away("a bill on another host".to_owned()));
        }
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let request = Request {
            method: Method::GET,
            path: &path,
            body: None,
        };
        let request = self.signed(&request).timeout(BILL_TIMEOUT);
        let answer = self.client.send(request, BILL_MAX_BYTES).await?;
        if answer.status != 200 {
            return Err(Failure::Away(format!("status {} for the bill", answer.status)));
        }
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &answer.body);
        let hash = hex::encode(hash);
        if place.hash_type != "SHA1" || !place.hash_value.eq_ignore_ascii_case(&hash) {
            return Err(Failure::Away("a bill with another hash".to_owned()));
        }
        Ok(answer.body)
    }
}

/// The rows of a bill: a head, rows whose every cell begins with a backtick, and a sum after them. A partner's bill names
/// the merchant in each row, and one of another is none of ours.
fn rows(text: &str, sub_mch_id: Option<&str>) -> Option<Vec<BillRow>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head: Vec<&str> = lines
        .next()?
        .split(',')
        .map(|cell| cell.trim_start_matches('`'))
        .collect();
    let column = |name| head.iter().position(|cell| *cell == name);
    let order = column("商户订单号")?;
    let state = column("交易状态")?;
    let amount = column("订单金额")?;
    let refund = column("商户退款单号")?;
    let refund_amount = column("申请退款金额")?;
    let merchant = match sub_mch_id {
        None => None,
        Some(id) => Some((column("特约商户号")?, id)),
    };
    let mut found = Vec::new();
    for line in lines {
        // The sum's head has no backticks, or begins with its own first column.
        let Some(row) = line
            .strip_prefix('`')
            .filter(|row| !row.starts_with("总交易单数"))
        else {
            return line.starts_with(['总', '`']).then_some(found);
        };
        // Names of goods may have commas, so that a cell ends before a comma and a backtick.
        let cells: Vec<&str> = row.split(",`").map(str::trim_end).collect();
        if cells.len() != head.len() || merchant.is_some_and(|(column, id)| cells[column] != id) {
            return None;
        }
        let (out_refund_no, amount) = match cells[state] {
            "SUCCESS" => (None, cells[amount]),
            "REFUND" => (Some(cells[refund].to_owned()), cells[refund_amount]),
            // Barcode payments that were taken back: this service makes none.
            _ => continue,
        };
        found.push(BillRow {
            out_trade_no: cells[order].to_owned(),
            out_refund_no,
            amount: Fen::from_yuan(amount)?,
        });
    }
    // A bill without its sum was cut.
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,商户退款单号,商品名称,订单金额,申请退款金额";
    const SUM: &str = "总交易单数,应结订单总金额\r\n`2,`88.88";

    fn row(order: &str, state: &str, refund: &str, amounts: (&str, &str)) -> String {
        format!(
            "`2026-12-01 10:00:00,`wx1,`19,`42,`{order},`{state},`{refund},`充值, 88 元,`{},`{}",
            amounts.0, amounts.1
        )
    }

    fn bill(rows: &[String]) -> String {
        format!(
            "\u{feff}{HEAD}\r\n{}{SUM}\r\n",
            rows.iter().map(|row| format!("{row}\r\n")).collect::<String>()
        )
    }

    #[test]
    fn rows_are_payments_and_refunds() {
        let text = bill(&[
            row("T1", "SUCCESS", "0", ("88.88", "0.00")),
            row("T1", "REFUND", "R1", ("0.00", "0.01")),
            row("T2", "REVOKED", "0", ("1.00", "0.00")),
        ]);
        let found = rows(&text, None).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|row| {
                (
                    row.out_trade_no.as_str(),
                    row.out_refund_no.as_deref(),
                    row.amount.get(),
                )
            })
            .collect();
        assert_eq!(shown, [("T1", None, 8888), ("T1", Some("R1"), 1)]);
        assert_eq!(rows(&bill(&[]), None), Some(vec![]));
        let ticked = text
            .replace("总交易单数", "`总交易单数")
            .replace("交易时间", "`交易时间");
        assert_eq!(rows(&ticked, None), Some(found));
    }

    #[test]
    fn a_bill_that_was_cut_or_has_other_rows_is_refused() {
        let good = row("T1", "SUCCESS", "0", ("88.88", "0.00"));
        for text in [
            String::new(),
            "no bill".to_owned(),
            format!("{HEAD}\r\n{good}\r\n"),
            bill(&[good.replace(",`19", "")]),
            bill(&[row("T1", "SUCCESS", "0", ("88.888", "0.00"))]),
            bill(&[row("T1", "SUCCESS", "0", ("-1.00", "0.00"))]),
            bill(&["a line".to_owned()]),
            bill(&[good]).replace("申请退款金额", "其他"),
        ] {
            assert_eq!(rows(&text, None), None, "{text}");
        }
    }

    #[test]
    fn a_partners_bill_has_the_rows_of_its_merchant_alone() {
        let of = |merchant: &str| {
            let text = bill(&[row("T1", "SUCCESS", "0", ("88.88", "0.00"))]);
            let text = text.replace("商户号,微信订单号", "商户号,特约商户号,微信订单号");
            text.replace("`19,", &format!("`19,`{merchant},"))
        };
        assert_eq!(rows(&of("20"), Some("20")).unwrap().len(), 1);
        assert_eq!(rows(&of("21"), Some("20")), None);
        // A bill without that column is not a partner's.
        assert_eq!(rows(&bill(&[]), Some("20")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(交易时间|商户订单号|[`,总\n]|.){0,200}") {
            let _ = rows(&text, None);
            let _ = rows(&format!("{HEAD}\n{text}"), Some("19"));
        }
    }
}
