//! A Sentinel set, which knows where the master is. Sentinels may be away, slow or outdated: all are asked at once, the answer
//! of most is tried first, and a server must itself report that it is a master.

use std::{fmt::Write as _, io, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, PushInfo, RedisError, Value, aio::MultiplexedConnection,
};
use tokio::{task::JoinSet, time::timeout};

use super::server::{
    self, Place, Template,
    refusal::{is_about_a_certificate, is_refusal},
};

/// How long a sentinel may take, connecting included.
const SENTINEL_LIMIT: Duration = Duration::from_millis(500);
/// How often sentinels are asked whether the master has changed.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// A Sentinel set.
#[derive(Clone)]
pub(crate) struct Sentinels {
    pub(crate) sentinels: Vec<Client>,
    pub(crate) master_name: String,
    pub(crate) master: Template,
}

/// The answer of one sentinel: where the master is, or that it knows none of this name.
type Answer = Result<Option<Place>, RedisError>;

impl Sentinels {
    /// Connects to the master.
    ///
    /// # Errors
    /// When no sentinel answers, none knows the name, or the named server is away or a replica.
    pub(crate) async fn connect(
        &self,
        on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(MultiplexedConnection, Place), RedisError> {
        let answers = self.ask_all().await;
        let places = by_votes(&answers);
        let mut last = None;
        for place in places {
            match self.connect_to(&place, on_push.clone()).await {
                Ok(connection) => return Ok((connection, place)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.no_master(&answers)))
    }

    async fn connect_to(
        &self,
        place: &Place,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, RedisError> {
        let client = self.master.client(place)?;
        let mut connection = server::connect(&client, on_push).await?;
        let role: Vec<Value> = ::redis::cmd("ROLE").query_async(&mut connection).await?;
        if matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") {
            return Ok(connection);
        }
        let (host, port) = place;
        Err(io::Error::other(format!(
            "the sentinels name {host}:{port} as the master, which says that it is a replica; they have not agreed yet"
        ))
        .into())
    }

    fn no_master(&self, answers: &[Answer]) -> RedisError {
        if answers.iter().any(Result::is_ok) {
            return (
                ErrorKind::MasterNameNotFoundBySentinel,
                "the sentinels know no master of this name",
                self.master_name.clone(),
            )
                .into();
        }
        let mut text = String::from("no sentinel answers");
        for (sentinel, answer) in self.sentinels.iter().zip(answers) {
            if let Err(error) = answer {
                let _ = write!(text, "; {}: {error}", sentinel.get_connection_info().addr());
            }
        }
        if answers
            .iter()
            .any(|answer| answer.as_ref().is_err_and(is_about_a_certificate))
        {
            return (
                ErrorKind::AuthenticationFailed,
                "the sentinels' certificate is not trusted",
                text,
            )
                .into();
        }
        if answers
            .iter()
            .any(|answer| answer.as_ref().is_err_and(is_refusal))
        {
            return (
                ErrorKind::AuthenticationFailed,
                "the sentinels want sentinel_user=, sentinel_password= in the address",
                text,
            )
                .into();
        }
        io::Error::other(text).into()
    }

    /// Returns when most sentinels say that the master is elsewhere.
    pub(crate) async fn until_moved(&self, place: &Place) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let answers = self.ask_all().await;
            let elsewhere = answers
                .iter()
                .filter(|answer| matches!(answer, Ok(Some(other)) if other != place))
                .count();
            if elsewhere * 2 > self.sentinels.len() {
                return;
            }
        }
    }

    /// The answer of each, in their order.
    async fn ask_all(&self) -> Vec<Answer> {
        let mut asking = JoinSet::new();
        for (at, sentinel) in self.sentinels.iter().enumerate() {
            let (sentinel, name) = (sentinel.clone(), self.master_name.clone());
            asking.spawn(async move { (at, ask(&sentinel, &name).await) });
        }
        let mut answers: Vec<Answer> = self
            .sentinels
            .iter()
            .map(|_| Err(io::Error::other("not asked").into()))
            .collect();
        while let Some(answered) = asking.join_next().await {
            if let Ok((at, answer)) = answered {
                answers[at] = answer;
            }
        }
        answers
    }
}

async fn ask(sentinel: &Client, master_name: &str) -> Answer {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SENTINEL_LIMIT))
        .set_response_timeout(Some(SENTINEL_LIMIT));
    let asking = async {
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut ask = ::redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master_name);
        ask.query_async(&mut connection).await
    };
    timeout(SENTINEL_LIMIT, asking)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()))
}

/// The named servers, the one with the most votes first.
fn by_votes(answers: &[Answer]) -> Vec<Place> {
    let mut votes: Vec<(usize, &Place)> = Vec::new();
    for place in answers.iter().filter_map(|answer| answer.as_ref().ok()?.as_ref()) {
        match votes.iter_mut().find(|(_, other)| *other == place) {
            Some((count, _)) => *count += 1,
            None => votes.push((1, place)),
        }
    }
    votes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    votes.into_iter().map(|(_, place)| place.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_say_is_tried_first() {
        let at = |host: &str| Ok(Some((host.to_owned(), 6379)));
        let away = || Err(io::Error::other("away").into());
        let hosts = |answers: &[Answer]| -> Vec<String> {
            by_votes(answers).into_iter().map(|place| place.0).collect()
        };
        assert_eq!(hosts(&[at("old"), at("new"), away(), at("new")]), ["new", "old"]);
        assert_eq!(hosts(&[Ok(None), away(), at("one")]), ["one"]);
        assert!(hosts(&[Ok(None), away()]).is_empty());
    }
}
