//! One module for each command.

pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod review;
pub(crate) mod service;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod usage;
pub(crate) mod verbs;
pub(crate) mod watch;
