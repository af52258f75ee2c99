//! The machine of each conversation: Citus spreads them by ranges of a hash of their ids.
//!
//! A map that is outdated costs a hop and nothing else: a machine hands what it does not have to the one that has it.

use tokio_postgres::Client;

use super::layout::FIRST;

/// A machine that has conversations, as the coordinator names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Which machine has a conversation.
#[derive(Clone, Debug, Default)]
pub struct Shards {
    /// In the order of their hashes.
    each: Vec<Shard>,
}

#[derive(Clone, Debug)]
struct Shard {
    first: i32,
    last: i32,
    worker: Worker,
}

/// One plain server has no such tables.
const HAS_SHARDS: &str = "SELECT to_regclass('pg_dist_shard') IS NOT NULL";

/// The coordinator has no connection to itself: a conversation that lies there is reached by the one that is there.
const SHARDS: &str =
    "SELECT CAST(s.shardminvalue AS INTEGER), CAST(s.shardmaxvalue AS INTEGER), n.nodename, n.nodeport
    FROM pg_dist_shard s
    JOIN pg_dist_placement p ON p.shardid = s.shardid
    JOIN pg_dist_node n ON n.groupid = p.groupid
    WHERE s.logicalrelid = to_regclass($1) AND n.groupid <> 0 AND n.noderole = 'primary' AND n.isactive
    ORDER BY 1";

impl Shards {
    /// Asks a coordinator; one plain server has none.
    ///
    /// # Errors
    /// The server's.
    pub async fn read(client: &Client) -> Result<Self, tokio_postgres::Error> {
        if !client.query_one(HAS_SHARDS, &[]).await?.get::<_, bool>(0) {
            return Ok(Self::default());
        }
        let rows = client.query(SHARDS, &[&FIRST]).await?;
        let shard = |row: &tokio_postgres::Row| Shard {
            first: row.get(0),
            last: row.get(1),
            worker: Worker {
                host: row.get(2),
                port: u16::try_from(row.get::<_, i32>(3)).unwrap_or_default(),
            },
        };
        Ok(Self {
            each: rows.iter().map(shard).collect(),
        })
    }

    /// The machine that has a conversation, where it is another one than the coordinator.
    pub fn worker_of(&self, conversation: i64) -> Option<&Worker> {
        let hash = hash(conversation);
        let at = self.each.partition_point(|shard| shard.last < hash);
        let shard = self.each.get(at).filter(|shard| shard.first <= hash);
        shard.map(|shard| &shard.worker)
    }
}

/// PostgreSQL's `hashint8`, by which Citus spreads rows: the last step of Jenkins' lookup3 over the folded halves.
/// Source: hashfunc.c and hashfn.c of PostgreSQL.
fn hash(value: i64) -> i32 {
    let bytes = value.to_be_bytes();
    let [high, low] = [&bytes[..4], &bytes[4..]]
        .map(|half| half.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)));
    let folded = low ^ if value >= 0 { high } else { !high };
    let seed = 0x9e37_79b9_u32.wrapping_add(4).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (seed.wrapping_add(folded), seed, seed);
    let mix = |one: u32, other: u32, by: u32| (one ^ other).wrapping_sub(other.rotate_left(by));
    c = mix(c, b, 14);
    a = mix(a, c, 11);
    b = mix(b, a, 25);
    c = mix(c, b, 16);
    a = mix(a, c, 4);
    b = mix(b, a, 14);
    c = mix(c, b, 24);
    i32::from_be_bytes(c.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `SELECT hashint8(…)` of PostgreSQL 15 says.
    #[test]
    fn the_hash_is_that_of_the_server() {
        for (value, expected) in [
            (0, -272_711_505),
            (1, -1_905_060_026),
            (2, 1_134_484_726),
            (102_198, -1_068_909_673),
            (2_147_483_648, -1_524_351_049),
            (4_294_967_296, -1_905_060_026),
            (9_007_199_254_740_993, -1_466_497_253),
            (i64::MAX, -1_524_351_049),
            (-1, 385_747_274),
            (-4_294_967_297, -1_242_090_879),
        ] {
            assert_eq!(hash(value), expected, "{value}");
        }
    }

    #[test]
    fn a_conversation_is_on_the_machine_of_its_range() {
        let worker = |port| Worker {
            host: "db".to_owned(),
            port,
        };
        let shard = |first, last, port| Shard {
            first,
            last,
            worker: worker(port),
        };
        let shards = Shards {
            each: vec![shard(i32::MIN, -1, 1), shard(0, i32::MAX, 2)],
        };
        for id in 1..100 {
            let expected = if hash(id) < 0 { 1 } else { 2 };
            assert_eq!(shards.worker_of(id), Some(&worker(expected)), "{id}");
        }
        assert_eq!(Shards::default().worker_of(1), None);
        let half = Shards {
            each: vec![shard(0, i32::MAX, 2)],
        };
        let on_coordinator = (1..100).find(|id| hash(*id) < 0).unwrap();
        assert_eq!(half.worker_of(on_coordinator), None);
    }
}
