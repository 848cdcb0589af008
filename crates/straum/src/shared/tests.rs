//! Stories of members and a store. Never a clock.
