//! All that is known of each programming language.
