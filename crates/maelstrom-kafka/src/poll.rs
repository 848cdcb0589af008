//! Polling many logs within one bound. Never changes anything.

use straum::{Budget, Engine, Offset, ReadError, Records};

/// What a message costs of a poll's bound beside its own bytes: room for its offset (up to 20 digits)
/// and for the punctuation around it. It keeps the bound honest for tiny messages.
pub(crate) const MESSAGE_OVERHEAD_BYTES: u64 = 24;

/// What is wanted of a log: from an offset on, and what is before another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'k> {
    pub(crate) key: &'k str,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
}

impl<'k> Wanted<'k> {
    pub(crate) fn all_from(key: &'k str, from: Offset) -> Self {
        Self { key, from, end: Offset::MAX }
    }
}

/// Reads each wanted log from its offset on. Logs with nothing to return are left out, and so are those that
/// cannot be read, if another can.
///
/// All messages together cost at most `max_bytes`, shared evenly: what one log does not take, those after it may. Only
/// the first message of all may cost more.
///
/// # Errors
/// [`ReadError`], if nothing could be read.
pub(crate) fn poll<'k>(
    engine: &Engine,
    wanted: impl ExactSizeIterator<Item = Wanted<'k>>,
    max_bytes: u64,
) -> Result<Vec<(&'k str, Records)>, ReadError> {
    let mut budget = Budget::new(max_bytes, MESSAGE_OVERHEAD_BYTES);
    let mut found = Vec::with_capacity(wanted.len());
    let mut first_error = None;
    let mut logs_left = wanted.len() as u64;
    for Wanted { key, from, end } in wanted {
        let share_bytes = budget.left_bytes() / logs_left;
        logs_left -= 1;
        match poll_one(engine, key, from, share_bytes, &mut budget) {
            Ok(mut records) => {
                records.end_before(end);
                if !records.is_empty() {
                    found.push((key, records));
                }
            }
            Err(error) => {
                log::warn!("a poll of {key:?} found nothing: {error}");
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// What is in files, and then what is in memory.
fn poll_one(
    engine: &Engine,
    key: &str,
    from: Offset,
    share_bytes: u64,
    budget: &mut Budget,
) -> Result<Records, ReadError> {
    let Some(read) = engine.read(key, from, share_bytes, budget) else {
        return Ok(Records::default());
    };
    let is_on_disk = read.is_on_disk();
    let mut records = read.fetch()?;
    if is_on_disk
        && let Some(next) = records.next_offset()
        && let Some(read) = engine.read(key, next, share_bytes, budget)
        && !read.is_on_disk()
    {
        records.append(read.fetch()?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use straum::Now;

    use super::*;

    fn engine(logs: &[(&str, usize, usize)]) -> Engine {
        let mut engine = Engine::in_memory();
        for (key, messages, bytes) in logs {
            for _ in 0..*messages {
                engine.append(key, &vec![b'x'; *bytes]).unwrap();
            }
        }
        engine.sync(Now::default()).unwrap();
        engine
    }

    fn counts(
        engine: &Engine,
        keys: &[&'static str],
        max_bytes: u64,
    ) -> Vec<(&'static str, usize)> {
        let found =
            poll(engine, keys.iter().map(|key| Wanted::all_from(key, 0)), max_bytes).unwrap();
        found.iter().map(|(key, records)| (*key, records.iter().count())).collect()
    }

    #[test]
    fn what_fits_is_given_whole() {
        let engine = engine(&[("a", 3, 76), ("b", 5, 76)]);
        assert_eq!(counts(&engine, &["a", "none", "b"], 1_600), [("a", 3), ("b", 5)]);
    }

    #[test]
    fn what_small_logs_leave_goes_to_those_after_them() {
        let engine = engine(&[("a", 1, 76), ("b", 100, 76), ("c", 100, 76)]);
        assert_eq!(counts(&engine, &["a", "b", "c"], 2_100), [("a", 1), ("b", 10), ("c", 10)]);
    }

    /// 200 keys with a large message each, and room for none: one comes all the same, and no more.
    #[test]
    fn a_reply_is_bounded_in_all_and_never_empty() {
        let keys: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let mut engine = Engine::in_memory();
        for key in &keys {
            engine.append(key, &vec![b'x'; 1 << 20]).unwrap();
        }
        engine.sync(Now::default()).unwrap();
        let wanted = keys.iter().map(|key| Wanted::all_from(key, 0));
        assert_eq!(poll(&engine, wanted, 1).unwrap().len(), 1);
    }
}
