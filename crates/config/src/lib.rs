//! Settings: raw TOML to validated values, and where each came from.
