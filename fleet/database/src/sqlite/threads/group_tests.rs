use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

use super::*;

/// The end of a transaction after its row.
#[derive(Clone, Copy)]
enum End {
    Keep,
    Refuse,
    Panic,
    /// SQLite rolls back by itself, as after a page that cannot be read.
    Lose,
}

/// The answers, in their order: the number of the transaction, and whether it was committed.
type Answers = Arc<Mutex<Vec<(i64, Result<(), Error>)>>>;

struct Insert {
    id: i64,
    end: End,
    answers: Answers,
}

impl Part for Insert {
    fn run(self: Box<Self>, connection: &mut Connection) -> (bool, Answer) {
        let Self { id, end, answers } = *self;
        connection
            .execute("INSERT INTO note (id) VALUES (?1)", [id])
            .unwrap();
        match end {
            End::Panic => panic!("planted"),
            End::Lose => connection.execute_batch("ROLLBACK").unwrap(),
            End::Keep | End::Refuse => {}
        }
        let is_kept = matches!(end, End::Keep);
        let answer = move |outcome: Result<(), Error>| {
            let outcome = outcome.and(if is_kept { Ok(()) } else { Err(Error::Refused) });
            answers.lock().push((id, outcome));
        };
        (is_kept, Box::new(answer))
    }

    fn refuse(self: Box<Self>, error: Error) {
        self.answers.lock().push((self.id, Err(error)));
    }
}

struct Scene {
    connection: Connection,
    commits: Arc<AtomicUsize>,
    answers: Answers,
    /// Those that were answered before the first commit.
    early: Arc<Mutex<Vec<i64>>>,
    groups: Groups,
}

impl Scene {
    fn new() -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY)")
            .unwrap();
        let commits = Arc::<AtomicUsize>::default();
        let (answers, counted) = (Answers::default(), commits.clone());
        let early = Arc::<Mutex<Vec<i64>>>::default();
        let (answered, noted) = (answers.clone(), early.clone());
        let hook = move || {
            let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            let answered = answered.lock();
            if is_first {
                *noted.lock() = answered.iter().map(|(id, _)| *id).collect();
            }
            // I1: before a commit only refusals are answered. SQLite takes `true` for a refusal of the commit.
            is_first && answered.iter().any(|(_, outcome)| outcome.is_ok())
        };
        connection.commit_hook(Some(hook)).unwrap();
        Self {
            connection,
            commits,
            answers,
            early,
            // A busy machine makes no group smaller.
            groups: Groups::within(Duration::MAX),
        }
    }

    /// Runs transactions 1, 2, 3 …, which wait in the queue together.
    fn run(&mut self, ends: &[End]) {
        let parts = (1..).zip(ends).map(|(id, end)| -> Box<dyn Part> {
            Box::new(Insert {
                id,
                end: *end,
                answers: self.answers.clone(),
            })
        });
        let mut waiting: VecDeque<_> = parts.collect();
        while let Some(first) = waiting.pop_front() {
            self.groups
                .run(&mut self.connection, first, || waiting.pop_front());
            assert!(self.connection.is_autocommit());
        }
    }

    fn rows(&self) -> Vec<i64> {
        let mut rows = self
            .connection
            .prepare("SELECT id FROM note ORDER BY id")
            .unwrap();
        rows.query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Those that were answered by a commit, and those that were refused.
    fn answered(&self) -> (Vec<i64>, Vec<i64>) {
        let answers = self.answers.lock();
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, outcome)| outcome.is_ok());
        let ids = |of: Vec<&(i64, Result<(), Error>)>| of.into_iter().map(|(id, _)| *id).collect();
        (ids(good), ids(bad))
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }
}

#[test]
fn those_that_wait_together_share_a_commit() {
    let mut scene = Scene::new();
    scene.run(&[End::Keep; 5]);
    assert_eq!(scene.commits(), 1);
    assert_eq!(scene.answered(), (vec![1, 2, 3, 4, 5], vec![]));
    assert_eq!(scene.rows(), [1, 2, 3, 4, 5]);
    assert!(scene.early.lock().is_empty(), "I1");
}

#[test]
fn a_refused_one_is_rolled_back_alone() {
    for refused in [End::Refuse, End::Panic] {
        for place in 0..4 {
            let mut scene = Scene::new();
            let mut ends = [End::Keep; 4];
            ends[place] = refused;
            scene.run(&ends);
            let others: Vec<i64> = (1..=4).filter(|id| *id != place as i64 + 1).collect();
            assert_eq!(scene.rows(), others);
            assert_eq!(scene.answered().0, others);
            assert_eq!(scene.commits(), 1);
        }
    }
}

/// I1: what refused it may be a row that a power loss still removes.
#[test]
fn one_that_is_refused_behind_others_is_answered_after_their_commit() {
    let mut scene = Scene::new();
    scene.run(&[End::Refuse, End::Keep, End::Refuse, End::Keep]);
    assert_eq!(*scene.early.lock(), [1]);
    assert_eq!(scene.answered(), (vec![2, 4], vec![1, 3]));
}

/// The row that refused it was rolled back, so it may be sent again.
#[test]
fn one_that_is_refused_by_what_is_lost_hears_that() {
    let mut scene = Scene::new();
    scene.run(&[End::Keep, End::Refuse, End::Lose]);
    let answers = scene.answers.lock();
    let outcome = |id: i64| &answers.iter().find(|(of, _)| *of == id).unwrap().1;
    assert!(matches!(outcome(1), Err(Error::Busy(_))), "{:?}", outcome(1));
    assert!(matches!(outcome(2), Err(Error::Busy(_))), "{:?}", outcome(2));
    assert!(matches!(outcome(3), Err(Error::Refused)), "{:?}", outcome(3));
}

#[test]
fn refused_ones_commit_nothing() {
    let mut scene = Scene::new();
    scene.run(&[End::Refuse, End::Panic, End::Refuse]);
    assert_eq!((scene.commits(), scene.rows()), (0, vec![]));
}

#[test]
fn those_that_are_lost_with_another_one_hear_it_and_the_next_go_alone() {
    let mut scene = Scene::new();
    scene.run(&[End::Keep, End::Keep, End::Lose, End::Keep, End::Keep]);
    // The first two may be sent again, the third one has its own error; the others did not begin with it.
    assert_eq!(scene.rows(), [4, 5]);
    let answers = scene.answers.lock();
    let busy = |id: i64| {
        matches!(
            answers.iter().find(|(of, _)| *of == id),
            Some((_, Err(Error::Busy(_))))
        )
    };
    assert!(busy(1) && busy(2) && !busy(3));
    drop(answers);
    assert_eq!(scene.commits(), 2);
}

#[test]
fn one_that_is_lost_first_takes_none_with_it() {
    let mut scene = Scene::new();
    scene.run(&[End::Lose, End::Keep, End::Keep]);
    assert_eq!(scene.rows(), [2, 3]);
    assert_eq!(scene.commits(), 1);
}

#[test]
fn a_group_is_bounded() {
    let mut scene = Scene::new();
    scene.run(&[End::Keep; 2 * MOST]);
    assert!(scene.commits() >= 2);
    assert_eq!(scene.rows().len(), 2 * MOST);
}
