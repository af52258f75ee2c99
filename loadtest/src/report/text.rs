//! A run in a few lines.

use std::fmt::Write as _;

use super::bar::short;
use super::{Percentiles, Report};
use crate::server::usage::Usage;

pub(super) fn summary(report: &Report) -> String {
    let mut text = format!(
        "{}: {}\n",
        report.workload,
        if report.is_clean() { "passed" } else { "FAILED" }
    );
    // Writing to a String cannot fail.
    let _ = write_summary(report, &mut text);
    text
}

fn write_summary(report: &Report, text: &mut String) -> std::fmt::Result {
    if !report.method.is_empty() {
        writeln!(text, "  {}", report.method)?;
    }
    if report.sent > 0 {
        writeln!(
            text,
            "  {:.1} s: sent {}, acked {} ({:.0}/s), delivered {} ({:.0}/s)",
            report.duration_s,
            report.sent,
            report.acked,
            report.acked_per_s,
            report.delivered,
            report.delivered_per_s
        )?;
        writeln!(text, "  ack      {}", times(report.ack_ms))?;
        writeln!(text, "  delivery {}", times(report.delivery_ms))?;
    }
    if let Some(saturated) = report.saturated_per_s {
        writeln!(text, "  the saturated rate is {saturated:.0} sends/s")?;
    }
    if report.sent > 0 || report.lost + report.duplicated + report.reordered > 0 {
        writeln!(
            text,
            "  lost {}, duplicated {}, reordered {}",
            report.lost, report.duplicated, report.reordered
        )?;
    }
    if report.spans > 0 {
        writeln!(
            text,
            "  {} changes of participation, {} spans, leaked {}, changed {}",
            report.participation_changes, report.spans, report.leaked, report.changed
        )?;
    }
    for (rule, count) in &report.broken_rules {
        writeln!(text, "  rule {rule}: broken {count} times")?;
    }
    for (fault, count) in &report.disturbances {
        let recovery = report.recovery_ms.get(fault).copied().unwrap_or_default();
        let login = match report.login_after_ms.get(fault) {
            Some(login) => format!(", a login after {login:.0} ms"),
            None => String::new(),
        };
        writeln!(
            text,
            "  {count} × {fault}, success again after {recovery:.0} ms at most{login}"
        )?;
    }
    if report.kills > 0 {
        writeln!(text, "  the server was killed {} times", report.kills)?;
    }
    if let Some(stopped) = &report.stopped_readers {
        writeln!(
            text,
            "  {} readers stopped: at most {:.1} KiB each, {:.1} at the end; {} closed SLOW, {} connections ended",
            stopped.count,
            stopped.most_bytes_each / 1024.0,
            stopped.bytes_each_afterwards / 1024.0,
            stopped.closed_slow,
            stopped.ended
        )?;
    }
    for (code, count) in &report.refused {
        writeln!(text, "  refused {count} with {code}")?;
    }
    if report.connections > 0 {
        writeln!(
            text,
            "  {} connections, {:.0} logins/s{}",
            report.connections,
            report.logins_per_s,
            match report.logins_sent_away {
                0 => String::new(),
                count => format!(", {count} times asked to come back later"),
            }
        )?;
    }
    if report.login_ms.max > 0.0 {
        writeln!(text, "  login    {}", times(report.login_ms))?;
    }
    for server in &report.servers {
        write_server(server, text)?;
    }
    if report.cores_used > 0.0 {
        writeln!(
            text,
            "  {:.2} cores used (generator {:.2}){}",
            report.cores_used,
            report.generator_cpu_s / report.duration_s.max(1e-9),
            if report.disturbed {
                "; DISTURBED: something else took the machine, the run is void"
            } else {
                ""
            }
        )?;
    }
    if let (Some(published), Some(received)) = (report.published_per_send, report.received_per_send) {
        writeln!(
            text,
            "  for each send {published:.3} messages to Redis, {received:.3} from it"
        )?;
    }
    if let Some(idle) = &report.idle {
        writeln!(
            text,
            "  beside {} idle connections of {} processes, logged in in {:.0} s, lost {}: {:.2} KiB each in the nodes, \
             {:.2} in Redis, {:.1} in the kernel (both ends)",
            idle.count,
            idle.processes,
            idle.logged_in_s,
            idle.lost,
            idle.node_bytes_each / 1024.0,
            idle.redis_bytes_each / 1024.0,
            idle.kernel_bytes_each / 1024.0
        )?;
    }
    if let Some(limit) = &report.limit {
        writeln!(
            text,
            "  {}: {:.0} acked/s, {:.0} delivered/s",
            limit.workload, limit.acked_per_s, limit.delivered_per_s
        )?;
        for (name, ratio) in &report.limit_ratio {
            writeln!(text, "  {name}: {ratio:.3} of that")?;
        }
    }
    for part in &report.parts {
        write_part(part, text)?;
    }
    for (name, figure) in &report.figures {
        writeln!(text, "  {name}: {}", short(*figure))?;
    }
    for bar in &report.bars {
        writeln!(text, "  {}", bar.line())?;
    }
    for fault in &report.faults {
        writeln!(text, "  ! {fault}")?;
    }
    Ok(())
}

/// The use of the machine by one server, in a line.
fn write_server(server: &Usage, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "  {}: {:.2} s CPU, {} resident",
        server.name,
        server.cpu_s,
        mib(server.rss_bytes)
    )?;
    for (value, unit) in [
        (server.cpu_us_per_send, "µs/send"),
        (server.cpu_us_per_delivery, "µs/delivery"),
        (server.cpu_us_per_login, "µs/login"),
    ] {
        if let Some(value) = value {
            write!(text, ", {value:.2} {unit}")?;
        }
    }
    if let Some(bytes) = server
        .pss_bytes_per_connection
        .or(server.rss_bytes_per_connection)
    {
        write!(text, ", {:.2} KiB/connection", bytes / 1024.0)?;
    }
    writeln!(text)
}

/// One of several runs, in a line.
fn write_part(part: &Report, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "  {}: {:.0} acked/s, delivery p50 {:.2} ms, p99 {:.2}",
        part.workload, part.acked_per_s, part.delivery_ms.p50, part.delivery_ms.p99,
    )?;
    let is_fleet = part.servers.iter().any(|server| server.name.starts_with("im-"));
    if let (true, Some(published), Some(received)) =
        (is_fleet, part.published_per_send, part.received_per_send)
    {
        write!(
            text,
            "; CPU for a send, µs: nodes {:.0}, Redis {:.0}, PostgreSQL {:.0}; for a delivery: nodes and Redis {:.1}; \
             messages to Redis {published:.2}, from it {received:.2}",
            part.cpu_us_per_send("im-"),
            part.cpu_us_per_send("redis"),
            part.cpu_us_per_send("postgresql"),
            part.cpu_us_per_delivery("im-") + part.cpu_us_per_delivery("redis"),
        )?;
    }
    writeln!(text, "{}", if part.is_clean() { "" } else { "; FAILED" })?;
    for fault in &part.faults {
        writeln!(text, "    ! {fault}")?;
    }
    Ok(())
}

fn times(times: Percentiles) -> String {
    format!(
        "p50 {:.2} ms, p90 {:.2}, p99 {:.2}, p999 {:.2}, max {:.2}",
        times.p50, times.p90, times.p99, times.p999, times.max
    )
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
