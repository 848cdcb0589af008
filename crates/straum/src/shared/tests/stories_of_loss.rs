//! What is lost, late or there twice changes nothing but the time it takes.

use super::world::{Flight, World};
use crate::command::{Append, Command, How, Outcome};
use crate::shared::{GetAnswer, MAX_REQUEST_BYTES, MemberFailure, Peer, PutAnswer, StorePlace};

#[test]
fn what_one_sends_all_have() {
    let mut world = World::new(3);
    world.send(0, 1, "a");
    world.pass_ms(20);
    for member in 0..3 {
        assert_eq!(world.log(member), ["a"]);
    }
    assert_eq!(world.sent_after(1, 0).unwrap().0, 0);
}

#[test]
fn two_who_propose_at_once_are_both_served_and_in_one_order() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.send(1, 2, "b");
    world.pass_ms(50);
    assert_eq!(world.log(0), ["a", "b"]);
    assert_eq!(world.log(1), ["a", "b"]);
    assert_eq!(world.count(Flight::is_get), 0, "who lost was told what had won");
}

#[test]
fn a_put_whose_answer_is_lost_is_found_by_reading_and_not_put_again() {
    let mut world = World::new(1);
    world.lose = Box::new(|flight| matches!(flight, Flight::PutAnswer { .. }));
    world.send(0, 1, "a");
    world.pass_ms(1_000);
    assert_eq!(world.log(0), ["a"]);
    assert_eq!((world.count(Flight::is_put), world.store.len()), (1, 1));
}

#[test]
fn a_put_that_is_lost_is_read_and_put_again() {
    let mut world = World::new(1);
    let mut lost = false;
    world.lose = Box::new(move |flight| flight.is_put() && !std::mem::replace(&mut lost, true));
    world.send(0, 1, "a");
    world.pass_ms(1_000);
    assert_eq!(world.log(0), ["a"]);
    let puts: Vec<_> = world.sent.iter().filter(|flight| flight.is_put()).collect();
    assert_eq!(puts.len(), 2);
    assert_eq!(puts[0], puts[1], "what is put at a position never changes");
}

/// The network may carry a `cas` twice. The second one is answered "taken", perhaps before the first one's
/// answer arrives; what is there is ours all the same.
#[test]
fn taken_by_ourselves_is_not_taken_for_another() {
    let mut world = World::new(1);
    world.lose = Box::new(|flight| matches!(flight, Flight::PutAnswer { .. }));
    world.send(0, 1, "a");
    world.pass_ms(1);
    let now_ns = world.now_ns;
    world.members[0].put_answered(now_ns, StorePlace::Entry(0), PutAnswer::Taken);
    world.pass_ms(10);
    world.members[0].put_answered(now_ns, StorePlace::Entry(0), PutAnswer::Created);
    world.pass_ms(10);
    assert_eq!(world.log(0), ["a"]);
    assert_eq!(world.outcomes.len(), 1);
}

#[test]
fn a_forwarded_batch_whose_entry_nobody_hears_of_takes_effect_once() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.pass_ms(10);
    // n1 has heard of n0, forwards, and hears nothing more.
    world.lose = Box::new(Flight::is_tell);
    world.send(1, 2, "b");
    world.pass_ms(2_000);
    assert_eq!(world.count(Flight::is_forward), 1);
    assert_eq!(world.log(0), ["a", "b"]);
    assert_eq!(world.log(1), ["a", "b"]);
    assert_eq!(world.sent_after(2, 0).unwrap().0, 1);
}

#[test]
fn a_forward_that_comes_twice_or_late_takes_effect_once() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.pass_ms(10);
    world.send(1, 2, "b");
    world.pass_ms(50);
    let forward = world.sent.iter().find(|flight| flight.is_forward()).unwrap();
    let Flight::Told { bytes, .. } = forward.clone() else { unreachable!() };
    let now_ns = world.now_ns;
    world.members[0].told(now_ns, Peer(0), &bytes).unwrap();
    world.pass_ms(1_000);
    assert_eq!(world.log(0), ["a", "b"]);
    assert_eq!(world.store.len(), 2);
}

#[test]
fn a_batch_whose_forward_is_lost_is_put_by_its_own_member() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.pass_ms(10);
    world.lose = Box::new(Flight::is_forward);
    world.send(1, 2, "b");
    world.pass_ms(1_000);
    assert_eq!(world.log(1), ["a", "b"]);
}

#[test]
fn an_entry_is_not_exposed_before_its_predecessor() {
    let mut world = World::new(2);
    // n1 never hears of "a", and cannot read for a while.
    world.lose = Box::new(|flight| match flight {
        Flight::Get { from: 1, .. } => true,
        flight => flight.is_tell(),
    });
    world.send(0, 1, "a");
    world.pass_ms(50);
    world.lose = Box::new(Flight::is_get);
    world.send(0, 2, "b");
    world.pass_ms(50);
    assert_eq!(world.log(0), ["a", "b"]);
    assert!(world.log(1).is_empty());
    world.lose = Box::new(|_| false);
    world.pass_ms(1_000);
    assert_eq!(world.log(1), ["a", "b"]);
}

#[test]
fn a_store_that_is_silent_for_a_minute_delays_and_is_not_asked_all_the_time() {
    let mut world = World::new(2);
    world.lose = Box::new(|flight| matches!(flight, Flight::Put { .. } | Flight::Get { .. }));
    world.send(0, 1, "a");
    world.pass_ms(60_000);
    assert!(world.sent.len() < 200, "{}", world.sent.len());
    world.lose = Box::new(|_| false);
    world.pass_ms(3_000);
    assert_eq!(world.log(1), ["a"]);
}

#[test]
fn a_store_that_answers_with_errors_is_asked_again() {
    let mut world = World::new(1);
    world.lose = Box::new(|flight| matches!(flight, Flight::Put { .. } | Flight::Get { .. }));
    world.send(0, 1, "a");
    let now_ns = world.now_ns;
    world.members[0].put_answered(now_ns, StorePlace::Entry(0), PutAnswer::Unknown);
    world.pass_ms(400);
    let now_ns = world.now_ns;
    world.members[0].get_answered(now_ns, StorePlace::Entry(0), 0, GetAnswer::Unknown);
    world.lose = Box::new(|_| false);
    world.pass_ms(2_000);
    assert_eq!(world.log(0), ["a"]);
}

#[test]
fn a_request_that_nobody_waits_for_any_more_is_not_put_later() {
    let mut world = World::new(1);
    world.lose = Box::new(|flight| matches!(flight, Flight::Put { .. } | Flight::Get { .. }));
    world.send(0, 1, "a");
    world.send(0, 2, "b");
    world.pass_ms(5_000);
    world.members[0].forget(1);
    world.members[0].forget(2);
    world.lose = Box::new(|_| false);
    world.pass_ms(3_000);
    assert_eq!(world.log(0), ["a"], "only what was under way already");
}

#[test]
fn garbage_is_refused_when_told_and_ends_the_member_when_stored() {
    let mut world = World::new(2);
    for garbage in
        [&b""[..], b"\x02", b"\x01\x03", b"\x02\x04\0\0\0\0\0\0\0\0\x01\xff", b"\x02\x09"]
    {
        assert!(world.members[0].told(0, Peer(0), garbage).is_err());
    }
    let now_ns = world.now_ns;
    world.members[0].get_answered(now_ns, StorePlace::Entry(0), 0, GetAnswer::Found(b"\x09"));
    let failure = world.members[0].failure().unwrap().to_string();
    assert_eq!(failure, "entry 0 of the journal: it is of version 9, not 2");
    assert_eq!(world.members[0].wake_at_ns(), None);
}

#[test]
fn what_is_too_large_for_a_value_is_refused_and_the_largest_is_stored() {
    let mut world = World::new(2);
    let message = vec![b'x'; MAX_REQUEST_BYTES + 1];
    let append = |record| [Command::Append(Append::record("k", record))];
    let largest = &message[8..]; // The command has its kind, its key and its length, too.
    assert!(world.members[0].submit(0, 1, &append(&message)).is_err());
    world.members[0].submit(0, 2, &append(largest)).unwrap();
    world.members[0].submit(0, 3, &append(b"small")).unwrap();
    world.pass_ms(100);
    assert_eq!(world.log(1).iter().map(String::len).collect::<Vec<_>>(), [largest.len(), 5]);
    assert_eq!(world.store.len(), 2, "a large request is an entry of its own");
}

#[test]
fn a_commit_is_in_the_journal_unless_it_changes_nothing() {
    let mut world = World::new(2);
    world.send(0, 1, "a");
    world.pass_ms(20);
    let now_ns = world.now_ns;
    let commit = Command::Commit { group: "", log: "k", offset: 0, metadata: b"", how: How::Raise };
    world.members[1].submit(now_ns, 2, &[commit]).unwrap();
    world.pass_ms(1_000);
    assert_eq!(world.members[0].engine().committed("", "k").unwrap().offset, 0);
    assert_eq!(world.store.len(), 2);
    let now_ns = world.now_ns;
    world.members[0].submit(now_ns, 3, &[commit]).unwrap();
    world.pass_ms(20);
    assert_eq!(world.store.len(), 2);
    let mut outcomes = world.outcomes.iter();
    assert!(
        outcomes.any(|(_, member, token, one)| (*member, *token, *one) == (0, 3, Outcome::Done))
    );
}

/// A member is halted with its put at 5 on the way. The others go on, and cut the journal to 64. Then the member goes
/// on.
fn a_member_is_halted_while_the_journal_is_cut(world: &mut World, cut: impl FnOnce(&mut World)) {
    for token in 0..5 {
        world.send(0, token, "before");
        world.pass_ms(100);
    }
    // The halted member is n1: nothing that it sends arrives for now, and it hears nothing.
    world.lose = Box::new(|flight| match flight {
        Flight::Put { from, .. } | Flight::Get { from, .. } | Flight::Told { from, .. } => {
            *from == 1
        }
        _ => false,
    });
    world.send(1, 1_000, "halted");
    let put = world.sent.iter().rfind(|flight| flight.is_put()).cloned().unwrap();
    assert!(matches!(&put, Flight::Put { from: 1, place: StorePlace::Entry(5), .. }), "{put:?}");
    let substitute = world.start(2);
    let halted = std::mem::replace(&mut world.members[1], substitute);
    for token in 5..70 {
        world.send(0, token, "meanwhile");
        world.pass_ms(100);
    }
    cut(world);
    world.pass_ms(100);
    world.members[1] = halted;
    world.lose = Box::new(|flight| flight.is_tell() || flight.is_forward());
    world.deliver(put);
    world.pass_ms(5_000);
}

#[test]
fn who_was_halted_while_the_journal_was_cut_acknowledges_nothing_that_nobody_reads() {
    let mut world = World::new(2);
    a_member_is_halted_while_the_journal_is_cut(&mut world, |world| world.members[0].cut(0..64));
    assert_eq!(world.sent_after(1_000, 0), None);
    let cut_off = MemberFailure::CutOff { position: 5, cut: 64 };
    assert_eq!(world.members[1].failure(), Some(&cut_off));
    assert!(!world.log(0).contains(&"halted".to_owned()));
    // A member that starts finds that it cannot begin at the beginning.
    world.members[1] = world.start(2);
    world.pass_ms(1_000);
    assert_eq!(world.members[1].failure(), Some(&MemberFailure::CutOff { position: 0, cut: 64 }));
}

/// Why a position stays taken: if entries are deleted, the story before ends with a message that was acknowledged and
/// that nobody else ever sees.
#[test]
fn if_entries_were_deleted_something_would_be_acknowledged_that_nobody_reads() {
    let mut world = World::new(2);
    a_member_is_halted_while_the_journal_is_cut(&mut world, |world| {
        world.store.retain(|place, _| *place >= StorePlace::Entry(64));
    });
    assert!(world.sent_after(1_000, 0).is_some());
    assert!(!world.log(0).contains(&"halted".to_owned()));
}
