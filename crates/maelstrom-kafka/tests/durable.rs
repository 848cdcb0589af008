//! The node with a data folder, as its environment sees it: killed, started twice, damaged, full.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Output};

use common::{init, lines, request, run, start};
use tempfile::TempDir;

fn send(n: usize) -> String {
    request(&format!(r#"{{"type":"send","key":"k","msg":{n},"msg_id":{n}}}"#))
}

fn poll() -> String {
    request(r#"{"type":"poll","offsets":{"k":0},"msg_id":1}"#)
}

/// What a node that is started on a folder has.
fn polled(folder: &Path) -> Output {
    let data_dir = folder.to_str().unwrap();
    run(&["--data-dir", data_dir], format!("{}\n{}\n", init(), poll()).as_bytes())
}

fn read_lines(stdout: &mut BufReader<ChildStdout>, count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        stdout.read_line(&mut text).unwrap();
    }
    text
}

/// The smallest segments that there may be, so that a test has many.
const SMALL: [&str; 2] = ["--segment-bytes", "65536"];

fn sorted_segments(folder: &Path) -> usize {
    let names = fs::read_dir(folder.join("n0")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|extension| extension == "sorted")).count()
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = TempDir::new().unwrap();
    for round in 0..5 {
        let mut node = start(&["--data-dir", folder.path().to_str().unwrap(), SMALL[0], SMALL[1]]);
        let mut stdin = node.stdin.take().unwrap();
        let mut stdout = BufReader::new(node.stdout.take().unwrap());
        let sends: Vec<String> = (0..9_000).map(|n| send(round * 9_000 + n)).collect();
        let input = format!("{}\n{}\n", init(), sends.join("\n"));
        let replies = std::thread::scope(|scope| {
            // Beside the reading: the system may give pipes that do not hold all of it.
            scope.spawn(|| stdin.write_all(input.as_bytes()).unwrap());
            read_lines(&mut stdout, 9_001)
        });
        let last = format!(r#""offset":{}}}}}"#, round * 9_000 + 8_999);
        assert!(replies.trim_end().ends_with(&last), "round {round}: {replies}");
        node.kill().unwrap();
        node.wait().unwrap();
    }
    assert!(sorted_segments(folder.path()) > 2);
    let output = polled(folder.path());
    let pairs: Vec<String> = (0..45_000).map(|n| format!("[{n},{n}]")).collect();
    assert!(lines(&output.stdout)[1].contains(&pairs.join(",")), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn committed_offsets_and_next_offsets_survive() {
    let folder = TempDir::new().unwrap();
    let commit = request(r#"{"type":"commit_offsets","offsets":{"k":1,"other":3},"msg_id":9}"#);
    let list = request(r#"{"type":"list_committed_offsets","keys":["k","other"],"msg_id":9}"#);
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    run(&options, [init(), send(1), send(2), commit].join("\n").as_bytes());
    let output = run(&options, [init(), list, send(3)].join("\n").as_bytes());
    let replies = lines(&output.stdout);
    assert!(replies[1].contains(r#""offsets":{"k":1}"#), "{}", replies[1]);
    assert!(replies[2].contains(r#""offset":2"#), "{}", replies[2]);
}

#[test]
fn retention_removes_the_oldest_messages_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let options = ["--data-dir", data_dir, SMALL[0], SMALL[1], "--retention-bytes", "300000"];
    let commit = request(r#"{"type":"commit_offsets","offsets":{"k":7},"msg_id":9}"#);
    let sends = (0..100_000).map(send).collect::<Vec<_>>().join("\n");
    run(&options, [init(), send(0), commit, sends].join("\n").as_bytes());

    let list = request(r#"{"type":"list_committed_offsets","keys":["k"],"msg_id":9}"#);
    let output = run(&options, [init(), poll(), list, send(1)].join("\n").as_bytes());
    let replies = lines(&output.stdout);
    assert!(
        !replies[1].contains("[0,0]") && replies[1].contains("[100000,99999]]"),
        "removed, and kept"
    );
    assert!(replies[2].contains(r#""offsets":{"k":0}"#), "{}", replies[2]);
    assert!(replies[3].contains(r#""offset":100001"#), "{}", replies[3]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let files = fs::read_dir(folder.path().join("n0")).unwrap();
    let all_bytes: u64 = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(all_bytes <= 300_000, "{all_bytes}");
}

#[test]
fn damage_far_behind_is_told_to_who_polls_it_and_the_node_serves_on() {
    let folder = TempDir::new().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap(), SMALL[0], SMALL[1]];
    let sends = (0..40_000).map(send).collect::<Vec<_>>().join("\n");
    run(&options, [init(), sends].join("\n").as_bytes());
    let sealed = folder.path().join("n0/00000000000000000000-0000000000.sorted");
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[100] ^= 1; // in the first chunk
    fs::write(&sealed, bytes).unwrap();

    let tail = request(r#"{"type":"poll","offsets":{"k":39999},"msg_id":2}"#);
    let output = run(&options, [init(), poll(), tail].join("\n").as_bytes());
    let replies = lines(&output.stdout);
    assert!(replies[1].contains(
        r#""code":13,"text":"00000000000000000000-0000000000.sorted is damaged at byte"#
    ));
    assert!(replies[2].contains("[[39999,39999]]"), "{}", replies[2]);
}

#[test]
fn a_second_node_on_the_same_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let mut first = start(&options);
    let mut stdin = first.stdin.take().unwrap();
    let mut stdout = BufReader::new(first.stdout.take().unwrap());
    writeln!(stdin, "{}", init()).unwrap();
    read_lines(&mut stdout, 1);
    let second = polled(folder.path());
    assert_eq!(second.status.code(), Some(3));
    assert!(second.stdout.is_empty());
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains("another process") && told.lines().count() == 1, "{told}");
    writeln!(stdin, "{}", send(1)).unwrap();
    assert!(read_lines(&mut stdout, 1).contains("send_ok"));
    drop(stdin);
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_torn_end_is_cut_off_and_told_and_damage_is_refused() {
    let folder = TempDir::new().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    for n in 1..=3 {
        run(&options, format!("{}\n{}\n", init(), send(n)).as_bytes());
    }
    let segment = folder.path().join("n0/00000000000000000000.wal");
    let good = fs::read(&segment).unwrap();
    let end = good.iter().rposition(|&byte| byte != 0).unwrap();
    let damage = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&segment, bytes).unwrap();
    };

    damage(70);
    let output = polled(folder.path());
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("0.wal is damaged at byte 64"), "{told}");

    damage(end);
    let output = polled(folder.path());
    assert_eq!(output.status.code(), Some(0));
    assert!(lines(&output.stdout)[1].contains(r#""k":[[0,1],[1,2]]"#), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("ends in a torn entry, as a crash leaves it: cut off at byte"), "{told}");
}

#[test]
fn a_node_id_that_is_no_name_for_a_folder_is_refused_and_the_node_serves_on() {
    let folder = TempDir::new().unwrap();
    let long = init().replace("\"node_id\":\"n0\"", &format!("\"node_id\":\"{}\"", "é".repeat(41)));
    let input = [long, init(), send(1)].join("\n");
    let output = run(&["--data-dir", folder.path().to_str().unwrap()], input.as_bytes());
    let replies = lines(&output.stdout);
    assert!(replies[0].contains("more than 80 bytes"), "{}", replies[0]);
    assert!(replies[2].contains("send_ok"), "{}", replies[2]);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = polled(&file);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot use"));
}

/// A small file system, for as long as it lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where nothing may be mounted.
    fn mount(size_mib: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={size_mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "straum-test"]).arg(folder.path());
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| Self(folder))
    }

    fn grow(&self, size_mib: u32) {
        let size = format!("remount,size={size_mib}m");
        assert!(
            Command::new("mount")
                .args(["-o", &size])
                .arg(self.0.path())
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_refuses_sends_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(2) else {
        println!("skipped: nothing may be mounted here");
        return;
    };
    let mut node = start(&["--data-dir", disk.0.path().to_str().unwrap(), SMALL[0], SMALL[1]]);
    let mut stdin = node.stdin.take().unwrap();
    let mut stdout = BufReader::new(node.stdout.take().unwrap());
    let mut ask = |line: &str| {
        writeln!(stdin, "{line}").unwrap();
        read_lines(&mut stdout, 1)
    };
    ask(&init());
    let large = request(&format!(
        r#"{{"type":"send","key":"k","msg":"{}","msg_id":1}}"#,
        "x".repeat(10_000)
    ));
    let mut stored = 0;
    let refused = loop {
        let reply = ask(&large);
        if reply.contains("error") {
            break reply;
        }
        stored += 1;
    };
    assert!(stored > 100, "{stored}");
    assert!(refused.contains(r#""code":11"#) && refused.contains("there is no room"), "{refused}");
    for offset in [0, stored - 1] {
        let line = format!(r#"{{"type":"poll","offsets":{{"k":{offset}}},"msg_id":2}}"#);
        assert!(ask(&request(&line)).contains(&format!("[{offset},\"xxx")));
    }
    let commit = request(r#"{"type":"commit_offsets","offsets":{"k":0},"msg_id":3}"#);
    let committed = ask(&commit);
    let listed = ask(&request(r#"{"type":"list_committed_offsets","keys":["k"],"msg_id":4}"#));
    if committed.contains("commit_offsets_ok") {
        assert!(listed.contains(r#""offsets":{"k":0}"#), "{listed}");
    } else {
        assert!(committed.contains(r#""code":13"#), "{committed}");
        assert!(listed.contains(r#""offsets":{}"#), "refused, and recorded: {listed}");
    }

    disk.grow(4);
    assert!(ask(&large).contains(&format!(r#""offset":{stored}}}}}"#)));
    drop(stdin);
    stdout.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(node.wait().unwrap().code(), Some(0));
    let list = polled(disk.0.path());
    assert!(lines(&list.stdout)[1].contains("poll_ok"));
}
