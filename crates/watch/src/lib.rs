//! A source tree to changed paths: notify, ignore rules, debounce, rescan.
