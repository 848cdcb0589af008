//! How many messages it takes, and how long.

use super::world::{Flight, HOP_NS, World};
use crate::engine::Token;
use crate::shared::MILLISECOND_NS;

/// Clients of all members, each of which sends its next message when the last one was answered.
fn busy_clients(world: &mut World, per_member: u64, span_ms: u64) -> usize {
    let members = world.members.len();
    let mut token: Token = 1_000;
    for member in 0..members {
        for _ in 0..per_member {
            token += 1;
            world.send(member, token, "m");
        }
    }
    let end_ns = world.now_ns + span_ms * MILLISECOND_NS;
    let mut answered = 0;
    while world.now_ns < end_ns {
        world.pass_ms(1);
        for (_, member, ..) in world.outcomes.split_off(0) {
            answered += 1;
            token += 1;
            world.send(member, token, "m");
        }
    }
    answered
}

#[test]
fn an_idle_cluster_is_silent() {
    let mut world = World::new(5);
    world.send(0, 1, "a");
    world.pass_ms(5_000);
    world.sent.clear();
    world.pass_ms(60_000);
    assert!(world.sent.is_empty(), "{:?}", world.sent);
}

#[test]
fn after_a_pause_a_send_takes_one_round_trip() {
    let mut world = World::new(2);
    for token in 0..10 {
        world.pass_ms(200);
        let began_ns = world.now_ns;
        world.send(usize::from(token % 2 == 0), token, "m");
        world.pass_ms(10);
        assert_eq!(world.sent_after(token, began_ns).unwrap().1, 2 * HOP_NS);
    }
    // A put, its answer, and a tell.
    assert_eq!(world.sent.len(), 30);
}

/// Two members with two clients each: all four commands in an entry, for a forward, a put, its answer and a
/// tell.
#[test]
fn under_load_an_entry_carries_what_all_have() {
    let mut world = World::new(2);
    let answered = busy_clients(&mut world, 2, 2_000);
    let sent = world.sent.len();
    assert!(10 * sent < 11 * answered, "{sent} messages for {answered} commands");
    assert!(answered > 4 * 100, "{answered} answers in 2 s");
}

#[test]
fn five_that_compete_forward_instead_and_none_starves() {
    let mut world = World::new(5);
    busy_clients(&mut world, 1, 2_000);
    let puts = world.count(Flight::is_put);
    assert!(world.count(Flight::is_forward) > 3 * puts, "{puts} puts");
    let by = |member: usize| world.members[member].position();
    assert!((1..5).all(|member| by(member).abs_diff(by(0)) <= 1));
}

/// Members that cannot reach each other put their batches themselves, and who wins leaves room.
#[test]
fn members_that_cannot_reach_each_other_do_not_starve() {
    let mut world = World::new(3);
    world.lose = Box::new(|flight| matches!(flight, Flight::Told { .. }));
    let mut slowest_ns = [0; 3];
    let mut asked_ns = [(0, world.now_ns), (1, world.now_ns), (2, world.now_ns)];
    for (token, _) in asked_ns {
        world.send(usize::try_from(token).unwrap(), token, "m");
    }
    let mut next = 3;
    for _ in 0..30_000 {
        world.pass_ms(1);
        for (at_ns, member, ..) in world.outcomes.split_off(0) {
            let (_, began_ns) = asked_ns[member];
            slowest_ns[member] = slowest_ns[member].max(at_ns - began_ns);
            asked_ns[member] = (next, at_ns);
            world.send(member, next, "m");
            next += 1;
        }
    }
    for (member, slowest_ns) in slowest_ns.into_iter().enumerate() {
        assert!(slowest_ns > 0, "n{member} was never answered");
        assert!(slowest_ns < 2_000 * MILLISECOND_NS, "n{member} waited {slowest_ns} ns");
    }
}

#[test]
fn who_only_listens_says_now_and_then_that_it_lives() {
    let mut world = World::new(2);
    for token in 0..500 {
        world.send(0, token, "m");
        world.pass_ms(20);
    }
    // Ten seconds, and twice a second.
    assert!(
        (15..=20).contains(&world.count(Flight::is_alive)),
        "{}",
        world.count(Flight::is_alive)
    );
}
