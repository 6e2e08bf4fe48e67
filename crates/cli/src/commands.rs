//! One module for each command.

pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod logs;
pub(crate) mod simulate;
pub(crate) mod watch;
