//! Makes users and conversations through REST.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::parallel::each;
use super::rest::{Kind, PASSWORD, Prices, Rest};
use super::sms::SmsWebhook;
use super::{Clock, Conversation, Practice, User, World};

/// How many pairs share a team: a chat of two doctors needs one.
const PAIRS_PER_TEAM: u32 = 50;

/// How many doctors a consult of many may have.
const MAX_PLACES: u32 = 400;

/// A patient, the team's assistant and a doctor.
const MIN_ROOM_MEMBERS: u32 = 3;

/// Makes users and conversations through REST.
#[derive(Clone, Debug)]
pub struct Builder {
    rest: Rest,
    sms: Arc<SmsWebhook>,
    run: u64,
    /// Members get a password to log in by on a second device; it costs the server a slow hash each.
    has_passwords: bool,
    /// Teams of consults have clocks.
    has_clocks: bool,
}

impl Builder {
    /// At this service; `run` distinguishes the users of this run from those of others.
    pub fn new(rest: Rest, sms: Arc<SmsWebhook>, run: u64) -> Self {
        Self {
            rest: rest.patient(),
            sms,
            run: run % 1_000_000,
            has_passwords: false,
            has_clocks: false,
        }
    }

    /// Makes members who can log in on [`second_devices`](Self::second_devices).
    #[must_use]
    pub fn with_second_devices(mut self) -> Self {
        self.has_passwords = true;
        self
    }

    /// Makes consults whose teams have the clocks of their numbers.
    #[must_use]
    pub fn with_clocks(mut self) -> Self {
        self.has_clocks = true;
        self
    }

    /// Consults of `members`: a patient, the team's assistant, doctors. Each has a team of its own, so that no user
    /// is in two.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn consults(&self, conversations: u32, members: u32) -> Result<World> {
        let made = each("making consults", 0..conversations, |number| {
            let builder = self.clone();
            async move { builder.consult(number, members).await }
        })
        .await?;
        let mut world = World::default();
        for (id, users) in made {
            let first = world.users.len() as u32;
            world.conversations.push(Conversation {
                id,
                members: (first..first + users.len() as u32).collect(),
            });
            world.users.extend(users);
        }
        self.with_passwords(world).await
    }

    /// One consult with this many members.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn room(&self, members: u32) -> Result<World> {
        ensure!(
            members >= MIN_ROOM_MEMBERS,
            "a room needs at least {MIN_ROOM_MEMBERS} members: --members {MIN_ROOM_MEMBERS}"
        );
        let patient = self.registered(Kind::Member, 0, 0).await?;
        let doctors = self.doctors(members - 2).await?;
        let owner = &doctors[0];
        let team = self.team(owner, 0, Prices::default()).await?;
        let assistant = self.rest.assistant(owner, team, "loadtest-assistant").await?;
        each(
            "bringing doctors into the team",
            doctors.iter().skip(1),
            |doctor| {
                let (rest, owner, doctor) = (self.rest.clone(), owner.clone(), doctor.clone());
                async move { rest.team_doctor(&owner, team, &doctor).await }
            },
        )
        .await?;
        let consult = self.rest.consult(&patient, team).await?;
        each("bringing doctors into the consult", doctors.iter(), |doctor| {
            let (rest, assistant, doctor) = (self.rest.clone(), assistant.clone(), doctor.user_id);
            async move { rest.consult_doctor(&assistant, consult, doctor).await }
        })
        .await?;
        let world = World {
            users: [patient, assistant].into_iter().chain(doctors).collect(),
            conversations: vec![Conversation {
                id: consult,
                members: (0..members).collect(),
            }],
        };
        self.with_passwords(world).await
    }

    /// Chats of two doctors.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn pairs(&self, pairs: u32) -> Result<World> {
        let doctors = Arc::new(self.doctors(pairs * 2).await?);
        let teams: Vec<&[User]> = doctors.chunks(PAIRS_PER_TEAM as usize * 2).collect();
        let owned = each("making teams", teams.iter().enumerate(), |(number, team)| {
            let (builder, owner) = (self.clone(), team[0].clone());
            async move { builder.team(&owner, number as u32, Prices::default()).await }
        })
        .await?;
        let joining: Vec<(User, i64, User)> = teams
            .iter()
            .zip(owned)
            .flat_map(|(team, id)| {
                team.iter()
                    .skip(1)
                    .map(move |doctor| (team[0].clone(), id, doctor.clone()))
            })
            .collect();
        each(
            "bringing doctors into teams",
            joining.into_iter(),
            |(owner, team, doctor)| {
                let rest = self.rest.clone();
                async move { rest.team_doctor(&owner, team, &doctor).await }
            },
        )
        .await?;
        let chats = each("opening chats", 0..pairs as usize, |pair| {
            let (rest, doctors) = (self.rest.clone(), doctors.clone());
            async move { rest.chat(&doctors[2 * pair], doctors[2 * pair + 1].user_id).await }
        })
        .await?;
        let conversations = (0..)
            .zip(chats)
            .map(|(pair, id)| Conversation {
                id,
                members: vec![2 * pair, 2 * pair + 1],
            })
            .collect();
        let users = Arc::unwrap_or_clone(doctors);
        self.with_passwords(World { users, conversations }).await
    }

    /// Users without conversations.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn loners(&self, users: u32) -> Result<World> {
        let users = each("making accounts", 0..users, |number| {
            let builder = self.clone();
            async move { builder.registered(Kind::Member, number, 0).await }
        })
        .await?;
        let world = World {
            users,
            conversations: Vec::new(),
        };
        self.with_passwords(world).await
    }

    /// A second device for the first member of each conversation; the new users follow the others, in the order of the
    /// conversations.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn second_devices(&self, conversations: u32) -> Result<Vec<User>> {
        each("logging second devices in", 0..conversations, |number| {
            let builder = self.clone();
            async move {
                let phone = builder.phone(Kind::Member, number, 0)?;
                builder.rest.log_in_by_password(&phone, "loadtest-second").await
            }
        })
        .await
    }

    /// A third device for the first member of the first conversation.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn third_device(&self) -> Result<User> {
        let phone = self.phone(Kind::Member, 0, 0)?;
        self.rest.log_in_by_password(&phone, "loadtest-third").await
    }

    /// For each consult a doctor of its team who is not in it.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn visitors(&self, world: &World) -> Result<Vec<User>> {
        let consults: Vec<(u32, i64, User)> = (0..)
            .zip(&world.conversations)
            .map(|(number, consult)| {
                // The second member of a consult is the team's assistant.
                let assistant = world.users[consult.members[1] as usize].clone();
                (number, consult.id, assistant)
            })
            .collect();
        each(
            "making visitors",
            consults.into_iter(),
            |(number, consult, assistant)| {
                let builder = self.clone();
                async move {
                    let visitor = builder.registered(Kind::Doctor, number, MAX_PLACES - 1).await?;
                    let team = builder.rest.team_of_consult(&assistant, consult).await?;
                    builder.rest.team_doctor(&assistant, team, &visitor).await?;
                    Ok(visitor)
                }
            },
        )
        .await
    }

    /// Teams of one doctor with their prices, and members who have not joined them yet. The doctors have a password.
    ///
    /// # Errors
    /// When the service refuses.
    pub(crate) async fn practices(
        &self,
        practices: u32,
        members: u32,
        prices: Prices,
    ) -> Result<Vec<Practice>> {
        each("making teams", 0..practices, |number| {
            let builder = self.clone();
            async move {
                let doctor = builder.account(Kind::Doctor, number, 0, Some(PASSWORD)).await?;
                let team = builder.team(&doctor, number, prices).await?;
                let assistant = builder
                    .rest
                    .assistant(&doctor, team, "loadtest-assistant")
                    .await?;
                let mut made = Vec::new();
                for member in number * members..(number + 1) * members {
                    made.push(builder.registered(Kind::Member, member, 0).await?);
                }
                Ok(Practice {
                    team,
                    doctor,
                    assistant,
                    members: made,
                })
            }
        })
        .await
    }

    async fn consult(&self, number: u32, members: u32) -> Result<(i64, Vec<User>)> {
        let patient = self.registered(Kind::Member, number, 0).await?;
        let mut doctors = Vec::new();
        // A team needs a doctor to make it, also when none is in the consult.
        for place in 0..members.saturating_sub(2).max(1) {
            doctors.push(self.registered(Kind::Doctor, number, place).await?);
        }
        let owner = &doctors[0];
        let team = self.team(owner, number, Prices::default()).await?;
        if self.has_clocks {
            self.rest.clock(owner, team, Clock::of(number as usize)).await?;
        }
        for doctor in &doctors[1..] {
            self.rest.team_doctor(owner, team, doctor).await?;
        }
        let assistant = self.rest.assistant(owner, team, "loadtest-assistant").await?;
        let consult = self.rest.consult(&patient, team).await?;
        doctors.truncate(members as usize - 2);
        for doctor in &doctors {
            self.rest
                .consult_doctor(&assistant, consult, doctor.user_id)
                .await?;
        }
        Ok((consult, [patient, assistant].into_iter().chain(doctors).collect()))
    }

    async fn doctors(&self, count: u32) -> Result<Vec<User>> {
        each("making accounts", 0..count, |number| {
            let builder = self.clone();
            async move { builder.registered(Kind::Doctor, number, 0).await }
        })
        .await
    }

    async fn registered(&self, kind: Kind, number: u32, place: u32) -> Result<User> {
        let password = (self.has_passwords && kind == Kind::Member).then_some(PASSWORD);
        self.account(kind, number, place, password).await
    }

    async fn account(&self, kind: Kind, number: u32, place: u32, password: Option<&str>) -> Result<User> {
        let phone = self.phone(kind, number, place)?;
        let name = format!(
            "{} {number}.{place}",
            if kind == Kind::Doctor { "Doctor" } else { "Member" }
        );
        self.rest
            .account(&self.sms, kind, &phone, &name, "loadtest-first", password)
            .await
            .with_context(|| format!("cannot make an account for {phone}"))
    }

    async fn team(&self, owner: &User, number: u32, prices: Prices) -> Result<i64> {
        self.rest
            .team(owner, &format!("Load test {}.{number}", self.run), prices)
            .await
    }

    async fn with_passwords(&self, mut world: World) -> Result<World> {
        let tokens: Vec<String> = world.users.iter().map(|user| user.access_token.clone()).collect();
        let passwords = each("asking for passwords", tokens.into_iter(), |token| {
            let rest = self.rest.clone();
            async move { Ok(rest.im_password(&token).await?) }
        })
        .await?;
        for (user, password) in world.users.iter_mut().zip(passwords) {
            user.password = password;
        }
        Ok(world)
    }

    /// E.164, which is how codes name the phone they are for: 7 (not a prefix of real phones here), what they are,
    /// whose run it is, and their number in it.
    fn phone(&self, kind: Kind, number: u32, place: u32) -> Result<String> {
        let (kind, number) = match kind {
            Kind::Member => (0, u64::from(number)),
            Kind::Doctor => {
                ensure!(
                    place < MAX_PLACES,
                    "a consult of more than {MAX_PLACES} doctors is a room: use `loadtest room`"
                );
                (1, u64::from(number) * u64::from(MAX_PLACES) + u64::from(place))
            }
        };
        ensure!(
            number < 10_000_000,
            "too many users: there are not enough phone numbers"
        );
        Ok(format!("+7{kind}{:06}{number:07}", self.run))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn nobody_shares_a_phone() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Builder {
            rest: Rest::new("http://127.0.0.1:1").unwrap(),
            sms: Arc::new(SmsWebhook::listen(([127, 0, 0, 1], 0).into()).await.unwrap()),
            run: 7,
            has_passwords: false,
            has_clocks: false,
        };
        let mut phones = HashSet::new();
        for number in 0..1000 {
            assert!(phones.insert(builder.phone(Kind::Member, number, 0).unwrap()));
            for place in 0..60 {
                assert!(phones.insert(builder.phone(Kind::Doctor, number, place).unwrap()));
            }
        }
        assert!(phones.iter().all(|phone| phone.len() == 16));
        assert!(builder.phone(Kind::Doctor, 0, MAX_PLACES).is_err());
    }
}
