//! Citus without Citus (docs/decisions/0019-distributed.md): its refusals, from the text of a statement ([`rules`]) and before a
//! plain server ([`StandIn`]), and the plans that statements on several machines must have ([`plan`]).

pub mod asking;
pub mod plan;
pub mod rules;
mod stand_in;
mod tables;

pub use self::{
    asking::{ASK_ALL, may_ask_all},
    rules::{Refusal, Rule, refusal, refusals},
    stand_in::{OF_A_TEST, Refused, StandIn, distributed},
    tables::OF_CONVERSATION,
};
