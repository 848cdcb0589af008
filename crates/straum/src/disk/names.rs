//! The names of a journal's files, and what a name says. Never touches a file.

use crate::Position;

const SEGMENT_SUFFIX: &str = ".wal";
const SORTED_SUFFIX: &str = ".sorted";

/// What a name ends in until all that a file must hold is durable.
pub(crate) const NEW_SUFFIX: &str = ".new";

/// What the names of version 1 end in.
const OLD_SUFFIXES: [&str; 2] = [".segment", ".sealed"];

/// The name of the write-ahead log's segment whose first entry is at a position.
pub(crate) fn segment_name(first_position: Position) -> String {
    format!("{first_position:020}{SEGMENT_SUFFIX}")
}

/// The name of a sorted segment whose first entry is at a position.
pub(crate) fn sorted_name(first_position: Position, generation: u32) -> String {
    format!("{first_position:020}-{generation:010}{SORTED_SUFFIX}")
}

/// What a name says that a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(Position),
    Sorted(Position, u32),
    /// Its creation was interrupted.
    Unfinished,
    /// It is of a journal of version 1.
    Old,
    Foreign,
}

impl Name {
    pub(crate) fn of(file: &str) -> Self {
        if let Some(finished) = file.strip_suffix(NEW_SUFFIX) {
            return match Self::of(finished) {
                Self::Segment(_) | Self::Sorted(..) => Self::Unfinished,
                other => other,
            };
        }
        let is_old = OLD_SUFFIXES.iter().any(|suffix| {
            file.strip_suffix(suffix).is_some_and(|digits| digits.parse::<Position>().is_ok())
        });
        if is_old {
            return Self::Old;
        }
        let segment = || {
            let position = file.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()?;
            (file == segment_name(position)).then_some(Self::Segment(position))
        };
        let sorted = || {
            let (position, generation) = file.strip_suffix(SORTED_SUFFIX)?.split_once('-')?;
            let (position, generation) = (position.parse().ok()?, generation.parse().ok()?);
            let is_its_name = file == sorted_name(position, generation);
            is_its_name.then_some(Self::Sorted(position, generation))
        };
        segment().or_else(sorted).unwrap_or(Self::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        assert_eq!(Name::of(&segment_name(7)), Name::Segment(7));
        assert_eq!(Name::of(&sorted_name(7, 2)), Name::Sorted(7, 2));
        assert_eq!(Name::of("00000000000000000007.wal.new"), Name::Unfinished);
        assert_eq!(Name::of("00000000000000000007-0000000002.sorted.new"), Name::Unfinished);
        for old in ["00000000000000000007.segment", "00000000000000000007.sealed.new"] {
            assert_eq!(Name::of(old), Name::Old);
        }
        for foreign in
            ["7.wal", "+0000000000000000007.wal", "x.wal", "x", "x.new", "0-0.sorted", ""]
        {
            assert_eq!(Name::of(foreign), Name::Foreign, "{foreign}");
        }
    }
}
