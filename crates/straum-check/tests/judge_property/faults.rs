//! Falsifies a correct history in one place, and says by a definition of its own whether anybody can
//! notice, and by which names. Never asks the judge.

use proptest::prelude::*;
use proptest::sample::Index;
use straum_check::history::{Action, Error, History, KeyId, Message, Offset, Operation, Outcome};

use super::model::GROUP;

/// What is falsified. An index chooses among the places where it can be.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An acknowledged message disappears from every answer.
    Lose(Index),
    /// A message disappears from an answer in which others follow it.
    LeaveOut(Index),
    /// Two messages of an answer change places, with their offsets.
    Swap(Index),
    /// Two messages of an answer change offsets.
    Exchange(Index),
    /// An answer ends with its first message again, at the next offset.
    Repeat(Index),
    /// An acknowledgement gives another offset.
    Move(Index, Offset),
    /// An answer has something that nobody sent in the place of a message.
    Invent(Index, Message),
    /// A send did not happen, the sender is told.
    Deny(Index),
    /// A list says less than is committed, by so much, or nothing.
    CommitLess(Index, Option<Offset>),
    /// A list says more than is committed.
    CommitMore(Index, Offset),
    /// A client is given what lies before the offset that it asked for.
    Again(Index),
    /// An acknowledged message disappears from every answer to a group.
    Withhold(Index),
}

pub(crate) fn fault() -> impl Strategy<Value = Fault> {
    let index = any::<Index>;
    let invented = prop_oneof![
        Just(Message::Value(1_000_000)),
        Just(Message::Foreign("{\"a\":1}".into())),
        Just(Message::Foreign("0.5".into())),
    ];
    let other = prop_oneof![-3..0_i64, 1..4_i64];
    prop_oneof![
        index().prop_map(Fault::Lose),
        index().prop_map(Fault::LeaveOut),
        index().prop_map(Fault::Swap),
        index().prop_map(Fault::Exchange),
        index().prop_map(Fault::Repeat),
        (index(), other).prop_map(|(index, by)| Fault::Move(index, by)),
        (index(), invented).prop_map(|(index, message)| Fault::Invent(index, message)),
        index().prop_map(Fault::Deny),
        (index(), proptest::option::of(1..5_i64)).prop_map(|(at, by)| Fault::CommitLess(at, by)),
        (index(), 1..5_i64).prop_map(|(index, by)| Fault::CommitMore(index, by)),
        index().prop_map(Fault::Again),
        index().prop_map(Fault::Withhold),
    ]
}

/// The names that must be found, among others maybe; none, if nobody can notice.
pub(crate) type Expected = Vec<&'static str>;

/// Falsifies the history, unless it has no place for the fault.
pub(crate) fn falsify(history: &mut History, fault: &Fault) -> Option<Expected> {
    match fault {
        Fault::Lose(index) => lose(history, *index),
        Fault::LeaveOut(index) => leave_out(history, *index),
        Fault::Swap(index) => swap(history, *index),
        Fault::Exchange(index) => exchange(history, *index),
        Fault::Repeat(index) => repeat(history, *index),
        Fault::Move(index, by) => move_acknowledged(history, *index, *by),
        Fault::Invent(index, message) => invent(history, *index, message),
        Fault::Deny(index) => deny(history, *index),
        Fault::CommitLess(index, by) => commit_less(history, *index, *by),
        Fault::CommitMore(index, by) => commit_more(history, *index, *by),
        Fault::Again(index) => again(history, *index),
        Fault::Withhold(index) => withhold(history, *index),
    }
}

type Answer = Vec<(Offset, Message)>;

fn is_ok(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok
}

fn choose<T>(mut places: Vec<T>, index: Index) -> Option<T> {
    (!places.is_empty()).then(|| places.swap_remove(index.index(places.len())))
}

/// Every key's part of every answer, with the poll's index.
fn answers(history: &History) -> impl Iterator<Item = (usize, KeyId, &Answer)> {
    history.operations.iter().enumerate().flat_map(|(index, operation)| {
        let messages = match &operation.action {
            Action::Poll { messages, .. } => &messages[..],
            _ => &[],
        };
        messages.iter().map(move |(key, answer)| (index, *key, answer))
    })
}

fn answer_mut(history: &mut History, poll: usize, key: KeyId) -> &mut Answer {
    match &mut history.operations[poll].action {
        Action::Poll { messages, .. } => {
            &mut messages.iter_mut().find(|(of, _)| *of == key).unwrap().1
        }
        _ => panic!("no poll"),
    }
}

/// An answer with at least so many messages.
fn some_answer(history: &History, index: Index, length: usize) -> Option<(usize, KeyId)> {
    let long = answers(history).filter(|(_, _, answer)| answer.len() >= length);
    choose(long.map(|(poll, key, _)| (poll, key)).collect(), index)
}

/// Acknowledged sends: index, key, value, offset.
fn acknowledged(history: &History) -> Vec<(usize, KeyId, u64, Offset)> {
    let operations =
        history.operations.iter().enumerate().filter(|(_, operation)| is_ok(operation));
    let sends = operations.filter_map(|(index, operation)| match operation.action {
        Action::Send { key, value, offset } => Some((index, key, value, offset?)),
        _ => None,
    });
    sends.collect()
}

/// Whether a message is known to be at an offset.
fn known(history: &History, key: KeyId, offset: Offset, message: &Message) -> bool {
    let acknowledged = acknowledged(history)
        .into_iter()
        .any(|(_, of, value, at)| of == key && at == offset && Message::Value(value) == *message);
    acknowledged
        || answers(history).any(|(_, of, answer)| {
            of == key && answer.iter().any(|(at, what)| *at == offset && what == message)
        })
}

fn remove_from_answers(history: &mut History, key: KeyId, value: u64, of_group: bool) {
    for operation in &mut history.operations {
        let concerned = !of_group || operation.group == Some(GROUP);
        if let (Action::Poll { messages, .. }, true) = (&mut operation.action, concerned) {
            for (_, answer) in messages.iter_mut().filter(|(of, _)| *of == key) {
                answer.retain(|(_, message)| *message != Message::Value(value));
            }
            messages.retain(|(_, answer)| !answer.is_empty());
        }
    }
}

fn lose(history: &mut History, index: Index) -> Option<Expected> {
    let (_, key, value, offset) = choose(acknowledged(history), index)?;
    remove_from_answers(history, key, value, false);
    let past = answers(history)
        .any(|(_, of, answer)| of == key && answer.iter().any(|(at, _)| *at >= offset));
    Some(vec![if past { "lost-write" } else { "unseen" }])
}

fn leave_out(history: &mut History, index: Index) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 2)?;
    let answer = answer_mut(history, poll, key);
    let place = index.index(answer.len() - 1);
    let (offset, message) = answer.remove(place);
    let name = if place == 0 { "poll-skip" } else { "int-poll-skip" };
    Some(if known(history, key, offset, &message) { vec![name] } else { Vec::new() })
}

fn swap(history: &mut History, index: Index) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 2)?;
    let answer = answer_mut(history, poll, key);
    let place = index.index(answer.len() - 1);
    answer.swap(place, place + 1);
    Some(vec!["int-nonmonotonic-poll"])
}

fn exchange(history: &mut History, index: Index) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 2)?;
    let answer = answer_mut(history, poll, key);
    let place = index.index(answer.len() - 1);
    let (one, other) = (answer[place].clone(), answer[place + 1].clone());
    answer[place].1 = other.1.clone();
    answer[place + 1].1 = one.1.clone();
    let noticed =
        [one, other].iter().any(|(offset, message)| known(history, key, *offset, message));
    Some(if noticed { vec!["duplicate"] } else { Vec::new() })
}

fn repeat(history: &mut History, index: Index) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 1)?;
    let answer = answer_mut(history, poll, key);
    let (offset, message) = (answer.last().unwrap().0 + 1, answer[0].1.clone());
    answer.push((offset, message));
    Some(vec!["duplicate"])
}

fn move_acknowledged(history: &mut History, index: Index, by: Offset) -> Option<Expected> {
    let (send, ..) = choose(acknowledged(history), index)?;
    if let Action::Send { offset: Some(offset), .. } = &mut history.operations[send].action {
        *offset += by;
    }
    Some(vec!["duplicate"])
}

fn invent(history: &mut History, index: Index, invented: &Message) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 1)?;
    let answer = answer_mut(history, poll, key);
    let place = index.index(answer.len());
    answer[place].1 = invented.clone();
    Some(vec!["invented"])
}

fn deny(history: &mut History, index: Index) -> Option<Expected> {
    let sends = history.operations.iter().enumerate().filter_map(|(index, operation)| {
        match (&operation.action, &operation.outcome) {
            (Action::Send { .. }, Outcome::Fail(_)) => None,
            (Action::Send { key, value, .. }, _) => Some((index, *key, Message::Value(*value))),
            _ => None,
        }
    });
    let (send, key, message) = choose(sends.collect(), index)?;
    let operation = &mut history.operations[send];
    operation.outcome = Outcome::Fail(Error { code: 11, text: String::new() });
    if let Action::Send { offset, .. } = &mut operation.action {
        *offset = None;
    }
    let returned = answers(history)
        .any(|(_, of, answer)| of == key && answer.iter().any(|(_, what)| *what == message));
    Some(if returned { vec!["G1a"] } else { Vec::new() })
}

/// Lists that named a committed offset: index, key, offset.
fn listed(history: &History) -> Vec<(usize, KeyId, Offset)> {
    let lists = history.operations.iter().enumerate().filter_map(|(index, operation)| {
        match &operation.action {
            Action::Assign { committed, .. } => Some((index, committed)),
            _ => None,
        }
    });
    lists
        .flat_map(|(list, committed)| {
            committed.iter().map(move |(key, offset)| (list, *key, *offset))
        })
        .collect()
}

fn list_instead(history: &mut History, list: usize, key: KeyId, offset: Option<Offset>) {
    if let Action::Assign { committed, .. } = &mut history.operations[list].action {
        committed.retain(|(of, _)| *of != key);
        committed.extend(offset.map(|offset| (key, offset)));
    }
}

/// Whether somebody asked, before the list was answered, for this offset to be committed.
fn was_asked(history: &History, list: usize, key: KeyId, offset: Offset) -> bool {
    let completed_ns = history.operations[list].completed_ns;
    history.operations.iter().any(|operation| match &operation.action {
        Action::Commit { offsets } => {
            operation.invoked_ns <= completed_ns && offsets.contains(&(key, offset))
        }
        _ => false,
    })
}

/// The highest commit of the key that a list must know of, among those that `counts` lets through.
fn due(
    history: &History,
    list: usize,
    key: KeyId,
    counts: impl Fn(&Operation) -> bool,
) -> Option<Offset> {
    let invoked_ns = history.operations[list].invoked_ns;
    let before = history.operations.iter().filter(|operation| operation.completed_ns <= invoked_ns);
    let told = before.filter(|operation| is_ok(operation) && counts(operation));
    let offsets = told.flat_map(|operation| match &operation.action {
        Action::Commit { offsets } => &offsets[..],
        Action::Assign { committed, .. } => committed,
        _ => &[],
    });
    offsets.filter(|(of, _)| *of == key).map(|(_, offset)| *offset).max()
}

fn commit_less(history: &mut History, index: Index, by: Option<Offset>) -> Option<Expected> {
    let (list, key, offset) = choose(listed(history), index)?;
    let less = by.map(|by| offset - by);
    list_instead(history, list, key, less);
    let process = history.operations[list].process;
    let told = due(history, list, key, |operation| operation.process == process);
    let at_end =
        due(history, list, key, |operation| matches!(operation.action, Action::Commit { .. }));
    let mut expected = Vec::new();
    if less.is_some_and(|less| !was_asked(history, list, key, less)) {
        expected.push("commit-never-asked");
    }
    if less < told {
        expected.push("commit-went-back");
    }
    // The list at the end is the last operation of all.
    if list == history.operations.len() - 1 && less < at_end {
        expected.push("commit-missing");
    }
    Some(expected)
}

fn commit_more(history: &mut History, index: Index, by: Offset) -> Option<Expected> {
    let (list, key, offset) = choose(listed(history), index)?;
    let more = offset + by;
    list_instead(history, list, key, Some(more));
    let mut expected = Vec::new();
    if !was_asked(history, list, key, more) {
        expected.push("commit-never-asked");
    }
    // Whoever was told so must not be told less later.
    let told = &history.operations[list];
    let later = history.operations[list + 1..].iter().any(|operation| {
        let Action::Assign { keys, committed, from_beginning: false, .. } = &operation.action
        else {
            return false;
        };
        let answer = committed.iter().find(|(of, _)| *of == key).map(|(_, offset)| *offset);
        is_ok(operation)
            && operation.process == told.process
            && keys.contains(&key)
            && answer < Some(more)
    });
    if later {
        expected.push("commit-went-back");
    }
    Some(expected)
}

fn again(history: &mut History, index: Index) -> Option<Expected> {
    let (poll, key) = some_answer(history, index, 1)?;
    let first = answer_mut(history, poll, key)[0].0;
    let before = answers(history).filter(|(_, of, _)| *of == key).flat_map(|(_, _, answer)| answer);
    let before = before.filter(|(offset, _)| *offset < first).cloned().max_by_key(|(at, _)| *at)?;
    answer_mut(history, poll, key).insert(0, before);
    let Action::Poll { from, .. } = &history.operations[poll].action else { return None };
    let asked = from.iter().find(|(of, _)| *of == key).unwrap().1;
    // Where offsets have a gap, what lies before the first message may be what was asked for.
    (asked == first).then(|| vec!["nonmonotonic-poll"])
}

fn withhold(history: &mut History, index: Index) -> Option<Expected> {
    let assigned = |key: KeyId| {
        history.operations.iter().any(|operation| match &operation.action {
            Action::Assign { keys, .. } => {
                is_ok(operation) && operation.group == Some(GROUP) && keys.contains(&key)
            }
            _ => false,
        })
    };
    let of_group = acknowledged(history).into_iter().filter(|(_, key, ..)| assigned(*key));
    let (_, key, value, _) = choose(of_group.collect(), index)?;
    remove_from_answers(history, key, value, true);
    Some(vec!["unprocessed"])
}
