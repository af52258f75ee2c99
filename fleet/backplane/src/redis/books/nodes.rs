//! The directory of nodes: one hash, the node's id → `until record`.

use super::{Books, look, script};
use crate::{
    NodeRecord, Unavailable,
    redis::{cluster::Routes, seal::Place},
};

/// Writes a node's record, and removes records that have not changed since they were found dead.
const ANNOUNCE: &str = "
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 0";

impl Books {
    fn directory(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    pub(crate) async fn announce_node(
        &self,
        routes: &Routes,
        node: &NodeRecord,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        let record = serde_json::to_string(node).map_err(|_| Unavailable)?;
        let directory = self.directory();
        let (now_us, lines) = look(routes, &directory).await?;
        let now_ms = i64::try_from(now_us / 1_000).unwrap_or(i64::MAX);
        let line = format!("{} {record}", now_ms.saturating_add(lasts_ms.max(0)));
        let mut announce = script(ANNOUNCE, &directory);
        announce.arg(&node.node_id).arg(self.records.make(
            &directory,
            node.node_id.as_bytes(),
            line.as_bytes(),
        ));
        for (node_id, line) in &lines {
            if node_id != node.node_id.as_bytes() && self.live(&directory, node_id, line, now_ms).is_none() {
                announce.arg(node_id).arg(line);
            }
        }
        routes.ask(&directory, &announce).await
    }

    pub(crate) async fn remove_node(&self, routes: &Routes, node_id: &str) -> Result<(), Unavailable> {
        let mut remove = ::redis::cmd("HDEL");
        let directory = self.directory();
        remove.arg(&directory).arg(node_id);
        routes.ask(&directory, &remove).await
    }

    pub(crate) async fn nodes(&self, routes: &Routes) -> Result<Vec<NodeRecord>, Unavailable> {
        let directory = self.directory();
        let (now_us, lines) = look(routes, &directory).await?;
        let now_ms = i64::try_from(now_us / 1_000).unwrap_or(i64::MAX);
        let live = lines
            .iter()
            .filter_map(|(node_id, line)| self.live(&directory, node_id, line, now_ms));
        // Skips a record of another version that cannot be parsed.
        Ok(live
            .filter_map(|record| serde_json::from_str(record).ok())
            .collect())
    }

    /// The record of a line that this fleet made and that has not expired.
    fn live<'l>(&self, directory: &str, node_id: &[u8], line: &'l [u8], now_ms: i64) -> Option<&'l str> {
        let line = self.records.read(Place::Node, directory, node_id, line)?;
        let (until_ms, record) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        (until_ms.parse::<i64>().ok()? > now_ms).then_some(record)
    }
}
