//! Stories of members and a store. Never a clock, and never another cause than the one that is told.

mod stories_of_catching_up;
mod stories_of_loss;
mod stories_of_pace;
mod world;
