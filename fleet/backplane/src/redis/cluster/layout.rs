//! Which master of a cluster has which slots, parsed from the views of its nodes (`CLUSTER NODES`).

use std::collections::HashMap;

use super::slot::{self, SLOTS};
use crate::redis::server::Place;

/// Masters and their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// All masters, also those without a slot, in the order of their addresses.
    pub(crate) masters: Vec<Place>,
    /// For each slot the index of its master.
    owners: Vec<Option<u16>>,
    /// All nodes, replicas too, to ask when no master answers.
    pub(crate) nodes: Vec<Place>,
}

/// A node as another one, or itself, sees it.
struct Seen {
    place: Place,
    is_master: bool,
    epoch: u64,
    slots: Vec<(u16, u16)>,
}

impl Layout {
    /// Merges the views of several nodes, each with the host under which it was asked. Of two masters that claim a
    /// slot the one with the higher epoch has it: the other view is outdated. `None` without any view.
    pub(crate) fn read(views: &[(String, String)], is_tls: bool) -> Option<Self> {
        let mut masters: HashMap<Place, u64> = HashMap::new();
        let mut claims: Vec<Option<(u64, Place)>> = vec![None; usize::from(SLOTS)];
        let mut nodes: Vec<Place> = Vec::new();
        for seen in views
            .iter()
            .flat_map(|(host, view)| view.lines().filter_map(|line| read(line, host, is_tls)))
        {
            if !nodes.contains(&seen.place) {
                nodes.push(seen.place.clone());
            }
            if !seen.is_master {
                continue;
            }
            let epoch = masters.entry(seen.place.clone()).or_default();
            *epoch = seen.epoch.max(*epoch);
            for slot in seen.slots.iter().flat_map(|(first, last)| *first..=*last) {
                let claim = &mut claims[usize::from(slot)];
                if claim.as_ref().is_none_or(|(epoch, _)| *epoch < seen.epoch) {
                    *claim = Some((seen.epoch, seen.place.clone()));
                }
            }
        }
        nodes.sort();
        let mut masters: Vec<Place> = masters.into_keys().collect();
        masters.sort();
        let indexes: HashMap<&Place, u16> = masters.iter().zip(0..).collect();
        let owners = claims
            .iter()
            .map(|claim| indexes.get(&claim.as_ref()?.1).copied())
            .collect();
        (!masters.is_empty()).then_some(Self {
            masters,
            owners,
            nodes,
        })
    }

    /// The index of the master that has a key.
    pub(crate) fn owner(&self, key: &[u8]) -> Option<usize> {
        self.owners
            .get(usize::from(slot::of(key)))
            .copied()
            .flatten()
            .map(usize::from)
    }

    /// Whether each slot has a master.
    pub(crate) fn is_whole(&self) -> bool {
        !self.owners.is_empty() && self.owners.iter().all(Option::is_some)
    }

    /// Whether a master has any slot.
    pub(crate) fn has_slots(&self, master: usize) -> bool {
        let master = u16::try_from(master).ok();
        master.is_some() && self.owners.contains(&master)
    }
}

/// `id ip:port@bus[,name[,…]] flags master ping pong epoch state slots…`
fn read(line: &str, asked_host: &str, is_tls: bool) -> Option<Seen> {
    let mut words = line.split_ascii_whitespace();
    let address = words.nth(1)?;
    let flags: Vec<&str> = words.next()?.split(',').collect();
    let epoch = words.nth(3)?.parse().ok()?;
    if flags.iter().any(|flag| ["noaddr", "handshake"].contains(flag)) {
        return None;
    }
    let mut address = address.split(',');
    let (ip, port) = address.next()?.split('@').next()?.rsplit_once(':')?;
    let name = address.next().filter(|name| !name.is_empty());
    let host = match name {
        // The name in its certificate.
        Some(name) if is_tls => name,
        // A node that does not know its own address.
        _ if ip.is_empty() => asked_host,
        _ => ip,
    };
    let slots: Vec<(u16, u16)> = words
        .skip(1)
        .filter_map(|word| {
            // A migrating slot stands in brackets, in addition.
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last && last < SLOTS).then_some((first, last))
        })
        .collect();
    Some(Seen {
        place: (host.to_owned(), port.parse().ok().filter(|port| *port > 0)?),
        // A master that died and was replaced is not connected to.
        is_master: flags.contains(&"master") && !(flags.contains(&"fail") && slots.is_empty()),
        epoch,
        slots,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    const VIEW: &str = "\
        07c3 10.0.0.4:6379@16379,four.example slave e7d1 0 1426238317239 4 connected\n\
        67ed 10.0.0.2:6379@16379,two.example master - 0 1426238316232 2 connected 5461-10922\n\
        292f 10.0.0.3:6379@16379 master - 0 1426238318243 3 connected 10923-16382 16383\n\
        e7d1 :6379@16379,one.example myself,master - 0 0 1 connected 0-5460 [93-<-292f] [5461->-67ed]\n\
        aaaa 10.0.0.9:6379@16379 handshake - 0 0 0 disconnected\n\
        bbbb :0@0 master,noaddr - 1 1 0 disconnected\n\
        dddd 10.0.0.6:6379@16379 master,fail - 0 0 0 disconnected\n\
        cccc 10.0.0.5:6379@16379 master - 0 0 0 connected\n";

    fn read_plain(views: &[&str]) -> Layout {
        let views: Vec<(String, String)> = views
            .iter()
            .map(|view| ("10.0.0.1".to_owned(), (*view).to_owned()))
            .collect();
        Layout::read(&views, false).unwrap()
    }

    fn owner(layout: &Layout, slot: u16) -> Option<&str> {
        layout.owners[usize::from(slot)].map(|at| &*layout.masters[usize::from(at)].0)
    }

    #[test]
    fn a_view_says_who_has_what() {
        let layout = read_plain(&[VIEW]);
        assert!(layout.is_whole());
        for (slot, host) in [
            (0, 1),
            (5460, 1),
            (5461, 2),
            (10_922, 2),
            (10_923, 3),
            (16_383, 3),
        ] {
            assert_eq!(owner(&layout, slot), Some(&*format!("10.0.0.{host}")), "{slot}");
        }
        let hosts: Vec<&str> = layout.masters.iter().map(|place| &*place.0).collect();
        assert_eq!(hosts, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5"]);
        assert_eq!(
            (0..4).map(|at| layout.has_slots(at)).collect::<Vec<_>>(),
            [true, true, true, false]
        );
        assert_eq!(layout.nodes.len(), 6);
        assert_eq!(layout.owner(b"foo"), Some(2));
    }

    #[test]
    fn names_are_used_where_certificates_are_looked_at() {
        let layout = Layout::read(&[("seed".into(), VIEW.into())], true).unwrap();
        let hosts: Vec<&str> = layout.masters.iter().map(|place| &*place.0).collect();
        assert_eq!(hosts, ["10.0.0.3", "10.0.0.5", "one.example", "two.example"]);
    }

    #[test]
    fn of_two_claims_the_later_one_holds_whoever_is_heard_first() {
        let later = "\
            07c3 10.0.0.4:6379@16379 myself,master - 0 0 7 connected 0-5460\n\
            e7d1 10.0.0.1:6379@16379 slave 07c3 0 0 7 connected\n";
        for views in [[VIEW, later], [later, VIEW]] {
            let layout = read_plain(&views);
            assert_eq!(owner(&layout, 0), Some("10.0.0.4"));
            assert_eq!(owner(&layout, 5461), Some("10.0.0.2"));
        }
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        assert_eq!(Layout::read(&[], false), None);
        assert_eq!(
            Layout::read(&[("h".into(), "nonsense\n\n1 2 3".into())], false),
            None
        );
        let half = "a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-100 99999 5-3 x-y\n";
        let layout = read_plain(&[half]);
        assert!(!layout.is_whole());
        assert_eq!(
            (owner(&layout, 100), owner(&layout, 101)),
            (Some("10.0.0.1"), None)
        );
    }
}
