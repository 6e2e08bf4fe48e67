//! A model server with faults on demand.
