//! Opening sled well: locks, envelopes, repair, durable flushes.
