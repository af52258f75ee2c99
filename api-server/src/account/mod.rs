//! Accounts and devices: registering, logging in and out, SMS codes, passwords, push tokens.
//!
//! A device has one access token at a time. Logout, a login on the same device, a password change, the eleventh login or an
//! operator ends a device, and with it its token, IM passwords and live sessions: see [`log_out`]. Devices on which a doctor
//! logged a team's assistant in end with the doctor's password, account or membership in the team.

pub(crate) mod budget;
pub(crate) mod code;
pub(crate) mod device;
pub(crate) mod login;
pub(crate) mod own;
pub(crate) mod password;
mod phone;
pub(crate) mod register;
mod table;
mod token;

pub use budget::Budgets;
pub(crate) use budget::Guesser;
pub(crate) use code::Code;
pub use code::Sms;
pub(crate) use device::PushToken;
pub use password::Passwords;
pub(crate) use password::{Password, Proof, Refusals};
pub(crate) use phone::{Phone, PhoneShown};
pub use table::FORGET_LOGINS;
pub use token::Tokens;

pub(crate) use crate::caller::Device;
pub(crate) use code::forget_old as forget_codes;
pub(crate) use device::{Login, NewLogin, Platform, log_out, open, sweep_ended};
pub(crate) use own::{
    AccountRole,
    closing::close_due,
    notice::{NewNotice, NoticeKind, notify},
};
pub(crate) use table::{
    Identity, NewAccount, SEQUENCE, check_verified, closing::lock_if_unclosed, closing::lock_unclosed,
    fold_some, identity, is_enabled, is_suspended, lock, lock_device, lock_enabled, lock_password,
    lock_verified, new_account, phone_in, phone_of, photo_uri, remove_devices, remove_opened_devices, rename,
    set_password,
};
pub(crate) use token::{authenticate, is_valid, save_last_use};
