//! Backups, restores and damage.

mod backups;
mod damage;
