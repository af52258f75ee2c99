//! The bill of a day: a ZIP archive with CSV files in GBK, one of which has the trades.

use std::io::{Cursor, Read};

use ledger::Fen;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zip::ZipArchive;

use super::{
    Alipay,
    answer::{Outcome, parse, unreadable},
};
use crate::{
    BillRow, Day, Failure,
    wire::{BILL_MAX_BYTES, BILL_TIMEOUT},
};

/// The domain of the hosts that have bills. Their URLs come with plain HTTP, and are asked for by TLS.
const DOMAIN: &str = ".alipay.com";
/// The most files of an archive; there are two.
const FILES_MAX: usize = 16;

/// Where the bill is, for 30 seconds.
#[derive(Deserialize)]
struct Place {
    bill_download_url: String,
}

impl Alipay {
    pub(crate) async fn bill(&self, day: Day) -> Result<Vec<BillRow>, Failure> {
        const METHOD: &str = "alipay.data.dataservice.bill.downloadurl.query";
        let content = json!({ "bill_type": "trade", "bill_date": day.to_string() });
        let place: Place = match self.call(METHOD, &content, &[]).await? {
            Outcome::Good(node) => parse(&node)?,
            // No trade that day.
            Outcome::Bad(refusal) if refusal.sub_code().ends_with("bill_not_exist") => return Ok(Vec::new()),
            Outcome::Bad(refusal) => return Err(refusal.failure()),
        };
        let url = self.place(&place.bill_download_url)?;
        let request = self.client.http().get(url).timeout(BILL_TIMEOUT);
        let answer = self.client.send(request, BILL_MAX_BYTES).await?;
        if answer.status != 200 {
            return Err(Failure::Away(format!("status {} for the bill", answer.status)));
        }
        rows(answer.body).ok_or_else(|| Failure::Away("a bill that cannot be read".to_owned()))
    }

    fn place(&self, text: &str) -> Result<Url, Failure> {
        let mut url = Url::parse(text).map_err(|_| unreadable())?;
        if self.client.is_own(&url) {
            return Ok(url);
        }
        let is_vendor = url.domain().is_some_and(|name| name.ends_with(DOMAIN)) && url.port().is_none();
        if is_vendor && url.set_scheme("https").is_ok() {
            Ok(url)
        } else {
            Err(Failure::Away("a bill on another host".to_owned()))
        }
    }
}

/// The rows of the file with trades.
fn rows(archive: Vec<u8>) -> Option<Vec<BillRow>> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).ok()?;
    if archive.len() > FILES_MAX {
        return None;
    }
    for index in 0..archive.len() {
        let mut bytes = Vec::new();
        let limit = u64::try_from(BILL_MAX_BYTES).ok()?;
        let file = archive.by_index(index).ok()?;
        // The sizes that an archive claims are not trusted.
        file.take(limit + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() > BILL_MAX_BYTES {
            return None;
        }
        // The other file has the sums.
        if let Some(found) = trades(&bytes) {
            return found.into_iter().collect();
        }
    }
    None
}

/// Names of columns.
struct Names {
    order: &'static [u8],
    amount: &'static [u8],
    refund: &'static [u8],
}

/// 商户订单号, 订单金额, 退款批次号 in GBK, and in UTF-8 as some gateways write it. No byte of a character in GBK is a comma
/// or a line end, so that bytes can be split by them.
const NAMES: [Names; 2] = [
    Names {
        order: b"\xc9\xcc\xbb\xa7\xb6\xa9\xb5\xa5\xba\xc5",
        amount: b"\xb6\xa9\xb5\xa5\xbd\xf0\xb6\xee",
        refund: b"\xcd\xcb\xbf\xee\xc5\xfa\xb4\xce\xba\xc5",
    },
    Names {
        order: "商户订单号".as_bytes(),
        amount: "订单金额".as_bytes(),
        refund: "退款批次号".as_bytes(),
    },
];

/// The columns of a file, and how many it has.
#[derive(Clone, Copy)]
struct Columns {
    order: usize,
    amount: usize,
    refund: usize,
    count: usize,
}

impl Columns {
    fn of(line: &[u8]) -> Option<Self> {
        let cells: Vec<&[u8]> = cells(line).collect();
        NAMES.iter().find_map(|names| {
            let column = |name: &[u8]| cells.iter().position(|cell| cell.starts_with(name));
            Some(Self {
                order: column(names.order)?,
                amount: column(names.amount)?,
                refund: column(names.refund)?,
                count: cells.len(),
            })
        })
    }

    /// A row: a payment, or with an amount below zero a refund.
    fn row(self, line: &[u8]) -> Option<BillRow> {
        let cells: Vec<&[u8]> = cells(line).collect();
        let text = |column: usize| std::str::from_utf8(cells.get(column)?).ok().map(str::to_owned);
        if cells.len() != self.count {
            return None;
        }
        let amount = text(self.amount)?;
        let (out_refund_no, amount) = match amount.strip_prefix('-') {
            Some(amount) => (Some(text(self.refund)?), Fen::from_yuan(amount)?),
            None => (None, Fen::from_yuan(&amount)?),
        };
        Some(BillRow {
            out_trade_no: text(self.order)?,
            out_refund_no,
            amount,
        })
    }
}

/// The rows between the head and the `#` after them; `None` where the file has no such head. A bill without its end was cut.
fn trades(file: &[u8]) -> Option<Vec<Option<BillRow>>> {
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let columns = lines.find_map(Columns::of)?;
    let mut found = Vec::new();
    for line in lines {
        if line.starts_with(b"#") {
            return Some(found);
        }
        found.push(columns.row(line));
    }
    Some(vec![None])
}

/// The cells of a line. Numbers end with a tab, so that spreadsheets leave them as they are.
fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// 支付宝交易号, then the three names, and 备注.
    const HEAD: &[u8] = b"\xd6\xa7\xb8\xb6\xb1\xa6\xbd\xbb\xd2\xd7\xba\xc5,\xc9\xcc\xbb\xa7\xb6\xa9\xb5\xa5\xba\xc5,\xb6\xa9\xb5\xa5\xbd\xf0\xb6\xee\xa3\xa8\xd4\xaa\xa3\xa9,\xcd\xcb\xbf\xee\xc5\xfa\xb4\xce\xba\xc5/\xc7\xeb\xc7\xf3\xba\xc5,\xb1\xb8\xd7\xa2";

    fn file(rows: &[&[u8]]) -> Vec<u8> {
        let mut file = b"#\xd6\xa7\r\n#--\r\n".to_vec();
        for line in [HEAD].iter().chain(rows).chain([&&b"#end"[..]].iter().copied()) {
            file.extend_from_slice(line);
            file.extend_from_slice(b"\r\n");
        }
        file
    }

    fn archive(files: &[&[u8]]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (number, file) in files.iter().enumerate() {
            writer
                .start_file(format!("{number}.csv"), SimpleFileOptions::default())
                .unwrap();
            writer.write_all(file).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn rows_are_payments_and_refunds() {
        let trades = file(&[
            b"2026\t,T1\t,88.88,\t,\xb3\xe4\xd6\xb5",
            b"2026\t,T1\t,-0.01,R1\t,",
        ]);
        let sums = b"#\r\na,b\r\n1,2\r\n#".to_vec();
        let found = rows(archive(&[&sums, &trades])).unwrap();
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
        let utf8 = "支付宝交易号,商户订单号,订单金额（元）,退款批次号/请求号\n1,T2,0.1,\n#\n";
        assert_eq!(rows(archive(&[utf8.as_bytes()])).unwrap()[0].amount.get(), 10);
        assert_eq!(rows(archive(&[&file(&[])])), Some(vec![]));
    }

    #[test]
    fn broken_bills_are_refused() {
        let row = b"2026\t,T1\t,88.88,\t,";
        let cut = [HEAD, b"\r\n", row].concat();
        for bytes in [
            vec![],
            b"PK".to_vec(),
            archive(&[]),
            archive(&[b"a,b"]),
            archive(&[&cut]),
            archive(&[&file(&[b"2026,T1,88.88"])]),
            archive(&[&file(&[b"2026,T1,88.888,,"])]),
            archive(&[&file(&[b"2026,T1,--1,,"])]),
            archive(&[&file(&[b"2026,\xff\xfe,1,,"])]),
            archive(&[&b""[..]; FILES_MAX + 1]),
        ] {
            assert_eq!(rows(bytes.clone()), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_grows_without_end_is_refused() {
        let bomb = archive(&[&vec![b'#'; BILL_MAX_BYTES + 1]]);
        assert!(bomb.len() < BILL_MAX_BYTES / 100);
        assert_eq!(rows(bomb), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..600) {
            let _ = rows(bytes.clone());
            let _ = trades(&[HEAD, b"\n", &bytes].concat());
            let mut archive = archive(&[&file(&[b"1,T1,1,,"])]);
            let at = at % archive.len();
            let end = archive.len().min(at + bytes.len());
            bytes.truncate(end - at);
            archive[at..end].copy_from_slice(&bytes);
            let _ = rows(archive);
        }
    }
}
