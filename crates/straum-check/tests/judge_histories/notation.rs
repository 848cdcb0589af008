//! Reads histories in the notation of `docs/anomalies.md`.

use std::collections::BTreeMap;

use straum_check::history::{
    ABANDONED, Action, Error, History, KeyId, Message, Offset, Operation, Outcome, Rule, Violation,
};
use straum_check::judge::Demands;

/// How long the time between two lines is.
const LINE_NS: u64 = 10;

pub(crate) fn parse(text: &str) -> (History, Demands) {
    let mut parser = Parser::default();
    parser.history.finished = true;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        parser.line(line);
    }
    (parser.history, parser.demands)
}

#[derive(Default)]
struct Parser {
    history: History,
    demands: Demands,
    keys: BTreeMap<String, KeyId>,
}

impl Parser {
    fn line(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["unfinished"] => self.history.finished = false,
            ["demand", "availability", share] => {
                self.demands.availability = Some(share.parse().unwrap());
            }
            [node, "breaks", rule] => self.violation(node, rule),
            ["last", who, ..] => self.operation(true, who, &words[2..]),
            [who, ..] => self.operation(false, who, &words[1..]),
            [] => unreachable!("blank lines are left out"),
        }
    }

    fn violation(&mut self, node: &str, rule: &str) {
        let rule: Rule = serde_json::from_value(rule.into()).unwrap();
        self.history.violations.push(Violation {
            at_ns: 7,
            node: number(node, 'n'),
            line_number: 3,
            rule,
            text: "it is wrong".into(),
            line: "oops".into(),
        });
    }

    fn operation(&mut self, last: bool, who: &str, words: &[&str]) {
        let (words, lines) = match words {
            [words @ .., more] if more.starts_with('+') => (words, more[1..].parse().unwrap()),
            _ => (words, 0),
        };
        let (who, group) = match who.split_once('/') {
            Some((who, group)) => (who, Some(number(group, 'g'))),
            None => (who, None),
        };
        let (process, node) = who.split_once('@').unwrap();
        let arrow = words.iter().position(|word| *word == "->").unwrap_or(words.len());
        let (asked, answered) = (&words[..arrow], words.get(arrow + 1..).unwrap_or(&["ok"]));
        let invoked_ns = self.history.operations.len() as u64 * LINE_NS;
        let action = self.action(asked, &answered[1..]);
        self.history.operations.push(Operation {
            process: number(process, 'p'),
            node: number(node, 'n'),
            group,
            last,
            invoked_ns,
            completed_ns: invoked_ns + lines * LINE_NS + LINE_NS / 2,
            outcome: outcome(answered[0]),
            action,
        });
    }

    fn action(&mut self, asked: &[&str], answer: &[&str]) -> Action {
        match asked {
            ["send", key, value] => Action::Send {
                key: self.key(key),
                value: value.parse().unwrap(),
                offset: answer.first().map(|offset| offset.parse().unwrap()),
            },
            ["poll", from @ ..] => {
                Action::Poll { from: self.offsets(from), messages: self.messages(answer) }
            }
            ["commit", offsets @ ..] => Action::Commit { offsets: self.offsets(offsets) },
            ["assign", keys @ .., "from", "beginning"] => self.assign(keys, true, &[]),
            ["assign", keys @ ..] => self.assign(keys, false, answer),
            ["crash"] => Action::Crash,
            _ => panic!("no operation: {asked:?}"),
        }
    }

    fn assign(&mut self, keys: &[&str], from_beginning: bool, answer: &[&str]) -> Action {
        let keys: Vec<_> = keys.iter().map(|key| self.key(key)).collect();
        let committed = self.offsets(answer);
        let known: BTreeMap<_, _> = committed.iter().copied().collect();
        let positions = keys.iter().map(|key| (*key, known.get(key).map_or(0, |at| at + 1)));
        let positions = positions.collect();
        Action::Assign { keys, from_beginning, committed, positions }
    }

    /// `k:0 l:3`
    fn offsets(&mut self, words: &[&str]) -> Vec<(KeyId, Offset)> {
        let pairs = words.iter().map(|word| word.split_once(':').unwrap());
        pairs.map(|(key, offset)| (self.key(key), offset.parse().unwrap())).collect()
    }

    /// `k 0=5 1=6 l 3=9`
    fn messages(&mut self, words: &[&str]) -> Vec<(KeyId, Vec<(Offset, Message)>)> {
        let mut messages: Vec<(KeyId, Vec<_>)> = Vec::new();
        for word in words {
            if let Some((offset, text)) = word.split_once('=') {
                let value = text.parse().map(Message::Value);
                let message = value.unwrap_or_else(|_| Message::Foreign((*text).into()));
                messages.last_mut().unwrap().1.push((offset.parse().unwrap(), message));
            } else {
                messages.push((self.key(word), Vec::new()));
            }
        }
        messages
    }

    fn key(&mut self, name: &str) -> KeyId {
        let names = &mut self.history.keys;
        *self.keys.entry(name.into()).or_insert_with(|| {
            names.push(name.into());
            KeyId::try_from(names.len()).unwrap() - 1
        })
    }
}

fn number(word: &str, letter: char) -> u32 {
    word.strip_prefix(letter).unwrap().parse().unwrap()
}

fn outcome(word: &str) -> Outcome {
    let error = |code, text: &str| Error { code, text: text.into() };
    match word {
        "ok" => Outcome::Ok,
        "fail" => Outcome::Fail(error(11, "not now")),
        "info" => Outcome::Info(error(0, "no answer in 5 s")),
        "abandoned" => Outcome::Info(error(ABANDONED, "the client did not wait")),
        _ => panic!("no outcome: {word}"),
    }
}
