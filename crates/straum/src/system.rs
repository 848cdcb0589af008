//! What the system knows and the engine does not: the time, and chance. Asked by whoever drives an engine, and when
//! a journal is begun.

use std::io;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use crate::Now;
use crate::identity::{IDENTITY_BYTES, Identity};

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What time it is. A machine that was asleep for longer than records may be old is taken for one whose clock has
/// jumped: nothing is removed by age then, before the program starts again.
pub fn now() -> Now {
    let milliseconds =
        |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Now {
        time_ms: milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        elapsed_ms: milliseconds(BEGAN.elapsed()),
    }
}

/// An identity that no other journal has.
pub(crate) fn random_identity() -> io::Result<Identity> {
    let mut bytes = [0; IDENTITY_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(Identity::new(bytes))
}
