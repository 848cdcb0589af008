//! Coming late, falling behind, and reading what others wrote.

use super::world::{Flight, HOP_NS, World};
use crate::identity::Identity;
use crate::shared::format::{AtPosition, Told, read_position, write_entry, write_run};
use crate::shared::{Peer, StorePlace};

#[test]
fn a_member_is_ready_when_it_has_all_that_was_there_when_it_started() {
    let mut world = World::new(1);
    world.fill(1);
    let member = world.start(1);
    world.members[0] = member;
    assert!(!world.members[0].is_ready());
    world.send(0, 1, "mine");
    world.pass_ms(100);
    assert!(world.members[0].is_ready());
    assert_eq!(world.log(0), ["0", "mine"]);
}

/// Thousands of entries are read by runs, many at a time: some tens of round trips and not thousands.
#[test]
fn who_comes_late_reads_runs() {
    let mut world = World::new(1);
    world.fill(64 * 100 + 20);
    let member = world.start(1);
    world.members[0] = member;
    let began_ns = world.now_ns;
    while !world.members[0].is_ready() {
        world.pass_ms(1);
    }
    assert_eq!(world.log(0).len(), 64 * 100 + 20);
    let round_trips = (world.now_ns - began_ns) / (2 * HOP_NS);
    assert!(round_trips <= 24, "{round_trips} round trips");
    assert!(world.count(Flight::is_get) <= 100 + 200, "{}", world.count(Flight::is_get));
}

#[test]
fn a_run_that_nobody_has_written_is_read_one_by_one_and_written() {
    let mut world = World::new(1);
    world.fill(64 * 4 + 1);
    let missing = world.store.remove(&StorePlace::Run(1)).unwrap();
    let member = world.start(1);
    world.members[0] = member;
    world.pass_ms(200);
    assert_eq!(world.log(0).len(), 64 * 4 + 1);
    assert_eq!(world.store[&StorePlace::Run(1)], missing);
}

#[test]
fn who_completes_a_run_writes_it() {
    let mut world = World::new(2);
    for token in 0..130 {
        world.send(usize::from(token % 3 == 0), token, "m");
        world.pass_ms(100);
    }
    let entries = world.store.keys().filter(|place| matches!(place, StorePlace::Entry(_))).count();
    assert_eq!((entries, world.store.len()), (130, 132));
}

#[test]
fn who_was_halted_for_long_catches_up() {
    let mut world = World::new(2);
    world.fill(1_000);
    // n0 stumbles over what has been put meanwhile, and tells n1 of what it puts after it.
    world.send(0, 1, "a");
    world.pass_ms(200);
    for member in 0..2 {
        assert_eq!(world.log(member).len(), 1_000 + 1);
        assert_eq!(world.log(member)[1_000], "a");
    }
}

#[test]
fn who_asks_to_be_up_to_date_sees_what_nobody_told_it_of() {
    let mut world = World::new(2);
    world.lose = Box::new(Flight::is_tell);
    world.send(0, 1, "a");
    world.pass_ms(10);
    assert!(world.log(1).is_empty());
    let now_ns = world.now_ns;
    world.members[1].catch_up(now_ns, 2);
    world.pass_ms(10);
    assert_eq!(world.log(1), ["a"]);
    assert_eq!(world.up_to_date, [(1, 2)]);
}

#[test]
fn who_is_read_from_and_has_heard_nothing_looks_for_the_next_reader() {
    let mut world = World::new(2);
    world.lose = Box::new(Flight::is_tell);
    world.send(0, 1, "a");
    world.pass_ms(10);
    let now_ns = world.now_ns;
    world.members[1].was_read(now_ns);
    world.pass_ms(10);
    assert!(world.log(1).is_empty(), "it has heard something a moment ago");
    world.pass_ms(300);
    let now_ns = world.now_ns;
    world.members[1].was_read(now_ns);
    world.pass_ms(10);
    assert_eq!(world.log(1), ["a"]);
}

/// The run that holds the position is asked for, and never answered.
#[test]
fn an_unknown_outcome_is_read_even_if_a_run_is_asked_for() {
    let later_run = |flight: &Flight| match flight {
        Flight::Get { place: StorePlace::Run(run), .. } => *run >= 4,
        _ => false,
    };
    let mut world = World::new(1);
    world.fill(64 * 3 + 63);
    world.lose = Box::new(later_run);
    world.members[0] = world.start(1);
    world.pass_ms(100);
    assert!(world.members[0].is_ready());
    world.send(0, 1, "a");
    world.pass_ms(50);
    let mut lost = false;
    world.lose = Box::new(move |flight| match flight {
        Flight::Put { place: StorePlace::Entry(_), .. } => !std::mem::replace(&mut lost, true),
        flight => later_run(flight),
    });
    world.send(0, 2, "b");
    world.pass_ms(2_000);
    world.lose = Box::new(|_| false);
    world.pass_ms(10_000);
    assert!(world.sent_after(2, 0).is_some());
}

#[test]
fn a_run_that_has_not_all_its_entries_ends_the_member() {
    let mut world = World::new(1);
    world.fill(64 * 2);
    let empty = write_run(&Identity::new([77; 16]), 1, []);
    world.store.insert(StorePlace::Run(1), empty.into());
    world.members[0] = world.start(1);
    world.pass_ms(1_000);
    let failure = world.members[0].failure().unwrap().to_string();
    assert_eq!(failure, "run 1 of the journal has 0 entries");
}

/// Somebody tells of an entry that there is not, and cannot be for long.
#[test]
fn who_is_told_of_what_does_not_exist_finds_out_and_goes_on() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.pass_ms(100);
    world.send(0, 3, "b");
    world.pass_ms(100);
    let entry = world.store[&StorePlace::Entry(0)].clone();
    let (identity, _) = read_position(&entry, 0).unwrap();
    let AtPosition::Entry { batches, .. } = read_position(&entry, 0).unwrap().1 else { panic!() };
    let entry = write_entry(&identity, 1 << 40, 5, [&*batches[0].to_bytes()]);
    let wrong = Told::Tell { position: 1 << 40, entry: &entry }.to_bytes(&identity);
    let now_ns = world.now_ns;
    world.members[1].told(now_ns, Peer(0), &wrong).unwrap();
    world.pass_ms(2_000);
    let asked = world.count(Flight::is_get);
    assert!(asked < 200, "{asked}");
    world.send(1, 2, "c");
    world.pass_ms(2_000);
    assert_eq!(world.log(0), ["a", "b", "c"]);
}
