//! The kind of an error that ends a process.

use std::io;

use ::telemetry::kind::Kind;

/// The kind of the first cause that has one. Settings and files have none of their own: their owner can correct them.
pub(super) fn of(error: &anyhow::Error) -> Kind {
    error
        .chain()
        .find_map(|cause| {
            let database = cause.downcast_ref::<database::Error>().map(of_database);
            database.or_else(|| cause.downcast_ref::<io::Error>().map(Kind::of_io))
        })
        .unwrap_or(Kind::Caller)
}

fn of_database(error: &database::Error) -> Kind {
    match error.kind() {
        database::Kind::Caller => Kind::Caller,
        database::Kind::Outage(database::Outage::Full) => Kind::Limit,
        database::Kind::Outage(_) | database::Kind::Damage => Kind::Dependency,
        database::Kind::Fault => Kind::Bug,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_cause_decides() {
        let exhausted = io::Error::from_raw_os_error(libc::EMFILE);
        let error = Err::<(), _>(exhausted).context("a listener").unwrap_err();
        assert_eq!(of(&error), Kind::Limit);
        let away = Err::<(), _>(database::Error::Closed)
            .context("the database")
            .unwrap_err();
        assert_eq!(of(&away), Kind::Dependency);
        assert_eq!(
            of(&anyhow::anyhow!("--media-hosts: x is not a host")),
            Kind::Caller
        );
    }
}
