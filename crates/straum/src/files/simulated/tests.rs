//! What the simulated files do, one story each.

use std::collections::BTreeSet;

use super::*;

const SEEDS: std::ops::Range<u64> = 0..400;

fn contents(files: &SimulatedFiles, name: &str) -> Vec<u8> {
    let file = files.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A folder with one durable file `a` of zeros.
fn with_file(seed: u64, size_bytes: u64) -> (SimulatedFiles, SimulatedFile) {
    let files = SimulatedFiles::new(seed);
    let mut file = files.create("a", size_bytes).unwrap();
    file.sync().unwrap();
    files.sync_names().unwrap();
    (files, file)
}

/// What is in `a` after a crash, over all seeds, if `write` went before.
fn after_crashes(size_bytes: u64, write: impl Fn(&mut SimulatedFile)) -> BTreeSet<Vec<u8>> {
    let crash = |seed| {
        let (files, mut file) = with_file(seed, size_bytes);
        write(&mut file);
        files.crash();
        contents(&files, "a")
    };
    SEEDS.map(crash).collect()
}

/// Which names are left after a crash, over all seeds, if `change` went before.
fn names_after_crashes(change: impl Fn(&SimulatedFiles)) -> BTreeSet<Vec<String>> {
    let crash = |seed| {
        let (files, _) = with_file(seed, 1);
        change(&files);
        files.crash();
        files.names().unwrap()
    };
    SEEDS.map(crash).collect()
}

fn name_sets<const N: usize>(sets: [&[&str]; N]) -> BTreeSet<Vec<String>> {
    sets.map(|names| names.iter().map(ToString::to_string).collect()).into()
}

#[test]
fn what_was_synced_survives_every_crash() {
    let left = after_crashes(8, |file| {
        file.write_at(1, b"abc").unwrap();
        file.write_at(2, b"xy").unwrap();
        file.sync().unwrap();
    });
    assert_eq!(left, [b"\0axy\0\0\0\0".to_vec()].into());
}

#[test]
fn an_unsynced_write_survives_whole_or_not_or_up_to_any_byte() {
    let left = after_crashes(4, |file| file.write_at(0, b"abcd").unwrap());
    let possible = [b"\0\0\0\0", b"a\0\0\0", b"ab\0\0", b"abc\0", b"abcd"];
    assert_eq!(left, possible.map(|bytes| bytes.to_vec()).into());
}

#[test]
fn an_unsynced_write_may_leave_any_of_its_sectors() {
    let left = after_crashes(2048, |file| file.write_at(256, &[1; 1536]).unwrap());
    // The write covers half of the first sector, two whole ones and half of the last.
    let sectors = |bytes: &Vec<u8>| [300, 600, 1100, 1600].map(|at| bytes[at]);
    let seen: BTreeSet<[u8; 4]> = left.iter().map(sectors).collect();
    assert_eq!(seen.len(), 16, "{seen:?}");
    assert!(left.iter().all(|bytes| bytes[..256] == [0; 256] && bytes[1792..] == [0; 256]));
}

#[test]
fn unsynced_writes_survive_whatever_their_order() {
    let left = after_crashes(2, |file| {
        file.write_at(0, b"a").unwrap();
        file.write_at(1, b"b").unwrap();
    });
    assert_eq!(left, [b"\0\0", b"a\0", b"\0b", b"ab"].map(|bytes| bytes.to_vec()).into());

    let left = after_crashes(1, |file| {
        file.write_at(0, b"a").unwrap();
        file.write_at(0, b"b").unwrap();
    });
    assert_eq!(left, [b"\0", b"a", b"b"].map(|bytes| bytes.to_vec()).into());

    let left = after_crashes(3, |file| {
        file.write_at(0, b"ab").unwrap();
        file.write_at(1, b"cd").unwrap();
    });
    assert!(left.contains(b"acd".as_slice()) && left.contains(b"abd".as_slice()), "{left:?}");
}

#[test]
fn a_write_in_one_file_may_survive_an_earlier_one_in_another() {
    let crash = |seed| {
        let (files, mut first) = with_file(seed, 1);
        let mut second = files.create("b", 1).unwrap();
        second.sync().unwrap();
        files.sync_names().unwrap();
        first.write_at(0, b"1").unwrap();
        second.write_at(0, b"2").unwrap();
        files.crash();
        (contents(&files, "a"), contents(&files, "b"))
    };
    assert!(SEEDS.map(crash).any(|left| left == (b"\0".to_vec(), b"2".to_vec())));
}

#[test]
fn a_name_that_was_not_synced_may_vanish_although_its_file_was_synced() {
    let left = names_after_crashes(|files| {
        files.create("b", 1).unwrap().sync().unwrap();
    });
    assert_eq!(left, name_sets([&["a"], &["a", "b"]]));

    let left = names_after_crashes(|files| {
        files.create("b", 1).unwrap();
        files.sync_names().unwrap();
    });
    assert_eq!(left, name_sets([&["a", "b"]]));
}

#[test]
fn a_file_that_was_never_synced_may_be_shorter_although_its_name_was_synced() {
    let crash = |seed| {
        let files = SimulatedFiles::new(seed);
        files.create("a", 3).unwrap();
        files.sync_names().unwrap();
        files.crash();
        contents(&files, "a").len()
    };
    assert_eq!(SEEDS.map(crash).collect::<BTreeSet<_>>(), [0, 1, 2, 3].into());
}

#[test]
fn changes_of_names_may_survive_in_any_order_but_a_rename_is_done_or_not() {
    let left = names_after_crashes(|files| files.rename("a", "b").unwrap());
    assert_eq!(left, name_sets([&["a"], &["b"]]));

    let left = names_after_crashes(|files| {
        files.create("b", 1).unwrap();
        files.remove("a").unwrap();
    });
    assert_eq!(left, name_sets([&[], &["a"], &["b"], &["a", "b"]]));
}

#[test]
fn a_rename_replaces_whole_files() {
    let crash = |seed| {
        let (files, mut old) = with_file(seed, 1);
        old.write_at(0, b"o").unwrap();
        old.sync().unwrap();
        let mut new = files.create("b", 1).unwrap();
        new.write_at(0, b"n").unwrap();
        new.sync().unwrap();
        files.sync_names().unwrap();
        files.rename("b", "a").unwrap();
        assert_eq!(
            (files.names().unwrap(), contents(&files, "a")),
            (vec!["a".into()], b"n".into())
        );
        files.crash();
        (files.names().unwrap().len(), contents(&files, "a"))
    };
    assert_eq!(
        SEEDS.map(crash).collect::<BTreeSet<_>>(),
        [(1, b"n".into()), (2, b"o".into())].into()
    );
}

#[test]
fn a_failed_sync_loses_writes_even_if_the_next_one_succeeds() {
    let run = |seed| {
        let (files, mut file) = with_file(seed, 1);
        files.fail_at(files.steps() + 1, Failure::Error(ErrorKind::Other));
        file.write_at(0, b"a").unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Other);
        let read = contents(&files, "a");
        file.sync().unwrap();
        files.crash();
        (read, contents(&files, "a"))
    };
    let seen: BTreeSet<_> = SEEDS.map(run).collect();
    // Lost now, lost later, and kept.
    let possible = [(b"\0", b"\0"), (b"a", b"\0"), (b"a", b"a")];
    assert_eq!(seen, possible.map(|(read, left)| (read.to_vec(), left.to_vec())).into());
}

#[test]
fn a_failed_sync_of_names_may_lose_them_even_if_the_next_one_succeeds() {
    let left = names_after_crashes(|files| {
        files.create("b", 1).unwrap();
        files.fail_at(files.steps(), Failure::Error(ErrorKind::Other));
        files.sync_names().unwrap_err();
        files.sync_names().unwrap();
    });
    assert_eq!(left, name_sets([&["a"], &["a", "b"]]));
}

#[test]
fn a_failed_write_may_be_there_in_part() {
    let left = after_crashes(2, |file| {
        let files = SimulatedFiles { disk: Arc::clone(&file.disk), boot: AtomicU64::new(0) };
        files.fail_at(files.steps(), Failure::Error(ErrorKind::StorageFull));
        assert_eq!(file.write_at(0, b"ab").unwrap_err().kind(), ErrorKind::StorageFull);
        file.sync().unwrap();
    });
    assert_eq!(left, [b"\0\0", b"a\0", b"ab"].map(|bytes| bytes.to_vec()).into());
}

#[test]
fn a_file_for_which_there_is_no_room_is_not_created_until_there_is() {
    let (files, _) = with_file(0, 6);
    files.set_capacity(10);
    assert_eq!(files.create("b", 5).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(files.names().unwrap(), ["a"]);
    files.create("b", 4).unwrap();
    files.remove("a").unwrap();
    files.create("c", 6).unwrap();
}

#[test]
fn a_file_that_could_not_be_created_may_be_there_empty_after_a_crash() {
    let left = names_after_crashes(|files| {
        files.set_capacity(1);
        files.create("b", 1).unwrap_err();
    });
    assert_eq!(left, name_sets([&["a"], &["a", "b"]]));
}

#[test]
fn a_rename_or_removal_that_fails_does_nothing() {
    let (files, _) = with_file(0, 1);
    files.fail_at(files.steps(), Failure::Error(ErrorKind::Other));
    files.fail_at(files.steps() + 1, Failure::Error(ErrorKind::Other));
    files.rename("a", "b").unwrap_err();
    files.remove("a").unwrap_err();
    files.crash();
    assert_eq!(files.names().unwrap(), ["a"]);
}

#[test]
fn after_a_crash_in_a_step_all_calls_are_errors_until_the_machine_starts_again() {
    let (files, mut file) = with_file(0, 1);
    let other = files.clone();
    files.fail_at(files.steps(), Failure::Crash);
    file.write_at(0, b"a").unwrap_err();
    assert!(files.names().is_err() && files.open("a").is_err() && file.size_bytes().is_err());
    let steps = files.steps();
    files.sync_names().unwrap_err();
    assert_eq!(files.steps(), steps);

    files.crash();
    files.open("a").unwrap().sync().unwrap();
    assert!(file.read_at(0, &mut [0]).is_err() && file.sync().is_err() && other.names().is_err());
    files.clone().names().unwrap();
}

/// Two files, of which the second replaces the first. Says how many steps were done.
fn workload(files: &SimulatedFiles) -> u64 {
    let steps = || -> io::Result<()> {
        let mut first = files.create("a", 600)?;
        first.write_at(0, &[1; 600])?;
        first.sync()?;
        files.sync_names()?;
        let mut second = files.create("b", 600)?;
        second.write_at(0, &[2; 600])?;
        second.sync()?;
        files.sync_names()?;
        files.rename("b", "a")?;
        files.sync_names()
    };
    let all_done = steps().is_ok();
    files.steps() - u64::from(!all_done)
}

#[test]
fn a_crash_in_any_step_keeps_what_the_steps_before_made_durable() {
    let all = SimulatedFiles::new(0);
    assert_eq!(workload(&all), 10);
    for (seed, step) in SEEDS.flat_map(|seed| (0..all.steps()).map(move |step| (seed, step))) {
        let files = SimulatedFiles::new(seed);
        files.fail_at(step, Failure::Crash);
        assert_eq!(workload(&files), step);
        files.crash();
        if step > 3 {
            let left = contents(&files, "a");
            assert!(left == [1; 600] || (step > 7 && left == [2; 600]), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_step_in_which_the_power_goes_off_may_have_had_its_effect_or_not() {
    let crash = |seed| {
        let (files, mut file) = with_file(seed, 1);
        file.write_at(0, b"a").unwrap();
        files.fail_at(files.steps(), Failure::Crash);
        file.sync().unwrap_err();
        files.crash();
        contents(&files, "a")
    };
    assert_eq!(SEEDS.map(crash).collect::<BTreeSet<_>>(), [b"\0".to_vec(), b"a".to_vec()].into());
}

#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let (files, mut file) = with_file(seed, 4096);
        for at in 0..16 {
            file.write_at(at * 200, &[7; 1000]).unwrap();
        }
        files.crash();
        contents(&files, "a")
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_file_ends_where_it_ends() {
    let (_files, mut file) = with_file(0, 4);
    assert_eq!(file.write_at(2, b"abc").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(file.write_at(u64::MAX, b"a").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(file.read_at(2, &mut [0; 3]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    file.read_at(4, &mut []).unwrap();
}

#[test]
fn a_file_that_was_extended_may_be_as_short_as_before_until_it_is_synced() {
    let crash = |seed| {
        let (files, mut file) = with_file(seed, 2);
        file.extend(4).unwrap();
        file.write_at(3, b"x").unwrap();
        files.crash();
        contents(&files, "a")
    };
    let left: BTreeSet<_> = SEEDS.map(crash).collect();
    assert!(left.contains(&b"\0\0"[..]) && left.contains(&b"\0\0\0x"[..]), "{left:?}");
    let (files, mut file) = with_file(0, 2);
    files.set_capacity(3);
    assert_eq!(file.extend(4).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.size_bytes().unwrap(), 2);
}

#[test]
fn a_disk_that_lied_is_found_out_by_reading_back() {
    let (files, mut file) = with_file(0, 1);
    files.ignore_syncs();
    file.write_at(0, b"a").unwrap();
    file.sync().unwrap();
    assert_eq!(contents(&files, "a"), b"a");
    file.forget_cached().unwrap();
    assert_eq!(contents(&files, "a"), b"\0");
}

#[test]
fn what_is_not_synced_is_still_read_when_the_rest_is_forgotten() {
    let (files, mut file) = with_file(0, 1);
    file.write_at(0, b"a").unwrap();
    file.forget_cached().unwrap();
    assert_eq!(contents(&files, "a"), b"a");
}

#[test]
fn any_read_can_fail_or_rot_and_a_byte_can_rot_for_good() {
    let (files, file) = with_file(0, 4);
    files.fail_read_at(0, ReadFailure::Error(ErrorKind::Other));
    files.fail_read_at(1, ReadFailure::Rot);
    let read = || {
        let mut bytes = [0; 4];
        file.read_at(0, &mut bytes).map(|()| bytes.iter().map(|byte| byte.count_ones()).sum())
    };
    assert_eq!(read().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!((read().unwrap(), read().unwrap()), (1, 0_u32));
    assert!(files.rot("a", 3) && !files.rot("a", 4) && !files.rot("b", 0));
    files.crash();
    assert_eq!(contents(&files, "a")[3].count_ones(), 1);
}

#[test]
fn a_store_that_refuses_some_names_does_so_until_it_is_told_otherwise() {
    let (files, _file) = with_file(0, 1);
    files.refuse("a", ErrorKind::PermissionDenied);
    assert!(
        files.open("a").is_err() && files.remove("a").is_err() && files.create("aa", 1).is_err()
    );
    files.create("b", 1).unwrap();
    assert!(files.rename("b", "aa").is_err());
    files.refuse_nothing();
    files.open("a").unwrap();
}
