//! A table of bad input: what each line gets, and that the node serves on after it.

mod common;

use common::{init, lines, request, run};

/// A request that must be answered after every line of the table.
fn good_request() -> String {
    request(r#"{"type":"poll","msg_id":99,"offsets":{"kept":0}}"#)
}

/// Its reply: what was acknowledged before the bad line is still there.
const GOOD_REPLY: &str = r#"{"src":"n0","dest":"c1","body":{"type":"poll_ok","in_reply_to":99,"msgs":{"kept":[[0,"safe"]]}}}"#;

/// What a bad line gets.
enum Gets<'a> {
    /// No reply, and a line on stderr that says this.
    Nothing(&'a str),
    /// An error with this code and a text that says this.
    Error(u32, &'a str),
}
use Gets::{Error, Nothing};

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn bad_input_gets_what_it_deserves_and_harms_nothing() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let deep_msg = request(&format!(r#"{{"type":"send","key":"k","msg":{deep},"msg_id":1}}"#));
    let deep_line = "[".repeat(200_000);
    let long_body = format!(r#"{{"src":"c1","body":"{}"}}"#, "x".repeat(1_000_000));
    let long_line = "x".repeat(17 * 1024 * 1024);
    let table: &[(&[u8], Gets)] = &[
        (b"", Nothing("not a JSON object")),
        (b"   ", Nothing("not a JSON object")),
        (b"null", Nothing("not a JSON object")),
        (b"[]", Nothing("not a JSON object")),
        (b"hello", Nothing("not a JSON object")),
        (b"{", Nothing("EOF")),
        (b"{}", Nothing("it has no body")),
        (b"{} {}", Nothing("trailing characters")),
        (br#"{"src":"c1","body":{"type":"poll","msg_id":1}"#, Nothing("EOF")),
        (b"\xff\xfe{}", Nothing("invalid utf-8")),
        (b"{\"src\":\"c\xff\"}", Nothing("invalid utf-8")),
        (b"{\"src\":\"a\0b\"}", Nothing("control character")),
        (br#"{"body":{"type":"poll","msg_id":1,"offsets":{}}}"#, Nothing("src is not a string")),
        (br#"{"src":1,"body":{"type":"poll","msg_id":1}}"#, Nothing("src is not a string")),
        (br#"{"src":"a","src":"b","body":{"msg_id":1}}"#, Nothing("duplicate field `src`")),
        (br#"{"src":"c1"}"#, Nothing("it has no body")),
        (br#"{"src":"c1","body":null}"#, Nothing("it has no body")),
        (br#"{"src":"c1","body":[]}"#, Nothing("expected an object as body")),
        (br#"{"src":"c1","body":"poll"}"#, Nothing("expected an object as body")),
        (long_body.as_bytes(), Nothing("xxx…")),
        (br#"{"src":"c1","body":{"type":"poll"}}"#, Nothing("msg_id is not an integer")),
        (br#"{"src":"c1","body":{"type":"poll","msg_id":"1"}}"#, Nothing("msg_id is not")),
        (br#"{"src":"c1","body":{"type":"poll","msg_id":1.0}}"#, Nothing("msg_id is not")),
        (br#"{"src":"c1","body":{"type":"poll","msg_id":9223372036854775808}}"#, Nothing("msg_id")),
        (br#"{"src":"n1","body":{"type":"read_ok","in_reply_to":3,"msg_id":1}}"#, Nothing("reply")),
        (deep_line.as_bytes(), Nothing("not a JSON object")),
        (long_line.as_bytes(), Nothing("it has 17825792 bytes, the limit is 16777216")),
        (deep_msg.as_bytes(), Error(12, r#"field \"msg\" is nested deeper than 120 levels"#)),
        (br#"{"src":"c1","body":{"msg_id":1}}"#, Error(12, r#"field \"type\" is missing"#)),
        (
            br#"{"src":"c1","body":{"type":7,"msg_id":1}}"#,
            Error(12, r#"field \"type\": expected a"#),
        ),
        (br#"{"src":"c1","body":{"type":"topology","msg_id":1}}"#, Error(10, "topology")),
        (
            br#"{"src":"c1","body":{"type":"send","msg":1,"msg_id":1}}"#,
            Error(12, r#"\"key\" is miss"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"send","key":"k","msg_id":1}}"#,
            Error(12, r#"\"msg\" is m"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"send","key":{},"msg":1,"msg_id":1}}"#,
            Error(12, r#"field \"key\": expected a string, got {}"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"send","key":null,"msg":1,"msg_id":1}}"#,
            Error(12, r#"field \"key\": expected a string, got null"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"send","key":"\ud800","msg":1,"msg_id":1}}"#,
            Error(12, r#"field \"key\": expected a string, got \"\\ud800\""#),
        ),
        (
            br#"{"src":"c1","body":{"type":"send","key":"k","msg":1,"msg":2,"msg_id":1}}"#,
            Error(12, r#"field \"msg\" stands twice"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"poll","msg_id":1}}"#,
            Error(12, r#"field \"offsets\" is missing: expected an object of integers"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"poll","offsets":[["k",0]],"msg_id":1}}"#,
            Error(12, r#"field \"offsets\": expected an object of integers"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"poll","offsets":{"k":0.5},"msg_id":1}}"#,
            Error(12, r#"field \"offsets\": expected an object of integers"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"poll","offsets":{"k":0,"\u006b":1},"msg_id":1}}"#,
            Error(12, r#"field \"offsets\" names key \"k\" twice"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"commit_offsets","offsets":{"kept":null},"msg_id":1}}"#,
            Error(12, r#"field \"offsets\": expected an object of integers"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"list_committed_offsets","keys":"kept","msg_id":1}}"#,
            Error(12, r#"field \"keys\": expected an array of strings, got \"kept\""#),
        ),
        (
            br#"{"src":"c1","body":{"type":"list_committed_offsets","keys":[1],"msg_id":1}}"#,
            Error(12, r#"field \"keys\": expected an array of strings, got [1]"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"init","node_ids":["n0"],"msg_id":1}}"#,
            Error(12, r#"field \"node_id\" is missing"#),
        ),
        (
            br#"{"src":"c1","body":{"type":"init","node_id":"n0","node_ids":"n0","msg_id":1}}"#,
            Error(12, r#"field \"node_ids\": expected an array of strings"#),
        ),
    ];

    let safe = request(r#"{"type":"send","msg_id":1,"key":"kept","msg":"safe"}"#);
    let mut input = format!("{}\n{safe}\n", init()).into_bytes();
    for (line, _) in table {
        input.extend_from_slice(line);
        input.extend_from_slice(format!("\n{}\n", good_request()).as_bytes());
    }
    let output = run(&[], &input);
    assert_eq!(output.status.code(), Some(0));

    let replies = lines(&output.stdout);
    let mut replies = replies.iter().skip(2);
    let warnings = lines(&output.stderr);
    let mut warnings = warnings.iter();
    for (line, gets) in table {
        let line = String::from_utf8_lossy(&line[..line.len().min(200)]);
        match gets {
            Nothing(reason) => {
                let warning = warnings.next().expect("a line on stderr");
                assert!(warning.contains(reason) && warning.len() < 600, "{line}: {warning}");
            }
            Error(code, text) => {
                let reply = replies.next().expect("a reply");
                let head = format!(
                    r#"{{"src":"n0","dest":"c1","body":{{"type":"error","in_reply_to":1,"code":{code},"text":"#
                );
                assert!(reply.starts_with(&head) && reply.contains(text), "{line}: {reply}");
            }
        }
        assert_eq!(replies.next(), Some(&GOOD_REPLY), "after {line}");
    }
    assert_eq!((replies.next(), warnings.next()), (None, None));
}

#[test]
fn a_message_may_be_nested_as_deep_as_a_common_parser_can_read_its_poll() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let send = |depth| {
        request(&format!(r#"{{"type":"send","key":"k","msg":{},"msg_id":1}}"#, nested(depth)))
    };
    let poll = request(r#"{"type":"poll","offsets":{"k":0},"msg_id":2}"#);
    let input = [init(), send(120), send(121), poll].join("\n");
    let output = run(&[], input.as_bytes());
    let replies = lines(&output.stdout);
    assert!(replies[1].contains(r#""offset":0"#), "{}", replies[1]);
    assert!(replies[2].contains(r#""code":12"#), "{}", replies[2]);
    let polled: serde_json::Value = serde_json::from_str(replies[3]).unwrap();
    assert_eq!(polled["body"]["msgs"]["k"][0][1].to_string(), nested(120));
}

#[test]
fn unknown_fields_and_odd_spacing_are_tolerated() {
    let input = format!(
        "{}\r\n \t{}\n",
        init(),
        r#"{ "body" : { "x": [[{}]], "msg_id" : -7 , "in_reply_to":null, "key":"k", "msg":[ ], "type":"\u0073end" } , "z":1e999, "src":"c\n9" }"#
    );
    let output = run(&[], input.as_bytes());
    assert_eq!(
        lines(&output.stdout)[1],
        r#"{"src":"n0","dest":"c\n9","body":{"type":"send_ok","in_reply_to":-7,"offset":0}}"#
    );
}
