//! Backups, restores, damage, and the books.

mod backups;
mod books;
mod damage;
mod media;
