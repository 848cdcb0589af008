//! Random histories from a correct model are valid; with one fault they are invalid, under the
//! names that fit, or the fault was invisible by a definition that does not rest on the judge.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod faults;
mod model;

use proptest::prelude::*;
use straum_check::history::{Action, History, Message, Offset, Outcome};
use straum_check::judge::{Demands, Validity, Verdict, judge};

use model::Forget;

fn judged(history: &History) -> Verdict {
    judge(history, &Demands::default())
}

fn names(verdict: &Verdict) -> Vec<&'static str> {
    verdict.findings.iter().map(|finding| finding.name).collect()
}

fn check(history: &History, expected: &[&str]) -> Result<(), TestCaseError> {
    let verdict = judged(history);
    let names = names(&verdict);
    if expected.is_empty() {
        prop_assert_eq!(&names, &[""; 0], "nobody can notice: {:#?}", verdict);
        prop_assert_eq!(verdict.validity, Validity::Valid);
    } else {
        let fitting = expected.iter().all(|name| names.contains(name));
        prop_assert!(fitting, "{:?} expected, {:#?}", expected, verdict);
        prop_assert_eq!(verdict.validity, Validity::Invalid);
    }
    for finding in verdict.findings {
        prop_assert!(finding.count >= finding.examples.len() as u64);
        prop_assert!(!finding.examples.is_empty());
    }
    Ok(())
}

/// What must be found when a log forgot one of its messages: who could see it is missing.
fn expected_when_forgotten(history: &History, whole: &History, key: u32) -> Vec<&'static str> {
    let Some((offset, message)) = forgotten(history, whole, key) else { return Vec::new() };
    let polls = || {
        history.operations.iter().filter_map(|operation| match &operation.action {
            Action::Poll { from, messages } if operation.outcome == Outcome::Ok => {
                let from = from.iter().find(|(of, _)| *of == key);
                let answer = messages.iter().find(|(of, _)| *of == key);
                from.zip(answer).map(|((_, from), (_, answer))| (*from, answer))
            }
            _ => None,
        })
    };
    let returned = polls().any(|(_, answer)| answer.contains(&(offset, message.clone())));
    let acknowledged = history.operations.iter().any(|operation| match operation.action {
        Action::Send { key: of, offset: Some(at), .. } => of == key && at == offset,
        _ => false,
    });
    let past = polls().any(|(_, answer)| answer.iter().any(|(at, _)| *at > offset));
    let mut expected = Vec::new();
    if acknowledged && !returned {
        expected.push(if past { "lost-write" } else { "unseen" });
    }
    let found_empty = history.operations.iter().any(|operation| match &operation.action {
        Action::Poll { from, messages } => {
            operation.last
                && operation.outcome == Outcome::Ok
                && from.iter().any(|(of, from)| *of == key && *from <= offset)
                && messages.iter().all(|(_, answer)| answer.is_empty())
        }
        _ => false,
    });
    if returned && found_empty {
        expected.push("vanished");
    }
    for (from, answer) in polls().filter(|_| returned || acknowledged) {
        let first = answer[0].0;
        let missing = answer.iter().all(|(at, _)| *at != offset);
        if from <= offset && offset < first {
            expected.push("poll-skip");
        } else if missing && first < offset && offset < answer.last().unwrap().0 {
            expected.push("int-poll-skip");
        }
    }
    expected
}

/// The message that the log forgot: the only one that is read at the end of the whole run but not here.
fn forgotten(history: &History, whole: &History, key: u32) -> Option<(Offset, Message)> {
    let last = |history: &History| -> Vec<(Offset, Message)> {
        let polls = history.operations.iter().filter(|operation| operation.last);
        let polls = polls.filter(|operation| operation.group.is_none());
        let answers = polls.filter_map(|operation| match &operation.action {
            Action::Poll { messages, .. } => Some(messages.clone()),
            _ => None,
        });
        let answers = answers.flatten().filter(|(of, _)| *of == key);
        answers.flat_map(|(_, answer)| answer).collect()
    };
    let here = last(history);
    last(whole).into_iter().find(|message| !here.contains(message))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 500,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_correct_history_is_valid(steps in model::steps()) {
        check(&model::run(&steps, None), &[])?;
    }

    #[test]
    fn one_fault_is_found_unless_it_is_invisible(
        steps in model::steps(),
        fault in faults::fault(),
    ) {
        let mut history = model::run(&steps, None);
        let expected = faults::falsify(&mut history, &fault);
        prop_assume!(expected.is_some());
        check(&history, &expected.unwrap())?;
    }

    #[test]
    fn a_message_that_a_log_forgets_is_missed_unless_it_is_invisible(
        steps in model::steps(),
        at in any::<prop::sample::Index>(),
        key in 0..4_u32,
        which in 0..50_usize,
    ) {
        let at = at.index(steps.len() + 1);
        let history = model::run(&steps, Some(Forget { at, key, which }));
        // The group may have committed beyond what it then could not read any more.
        let mut names = names(&judged(&history));
        names.retain(|name| *name != "unprocessed");
        let mut expected = expected_when_forgotten(&history, &model::run(&steps, None), key);
        expected.sort_unstable();
        expected.dedup();
        names.sort_unstable();
        prop_assert_eq!(names, expected);
    }
}
