//! Numbers and texts as bytes, for all that is stored or sent. Never panics, whatever it reads.
//!
//! A **varint** is an unsigned number of 64 bits, seven bits a byte, the lowest first; each byte but the
//! last has its highest bit set (LEB128). A signed number is made unsigned first: 0, -1, 1, -2 become 0, 1,
//! 2, 3 (zigzag).

/// Appends a varint: 1 to 10 bytes.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
pub(crate) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes a varint takes.
pub(crate) fn varint_bytes(number: u64) -> usize {
    ((64 - (number | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Appends the difference of two times as a signed varint.
pub(crate) fn put_difference(from: u64, to: u64, out: &mut Vec<u8>) {
    put_varint(zigzag(to.wrapping_sub(from)), out);
}

fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ 0_u64.wrapping_sub(difference >> 63)
}

/// Appends bytes behind their number, a varint.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// How many bytes so many bytes take behind their number.
pub(crate) fn bytes_with_length(length: usize) -> usize {
    varint_bytes(length as u64) + length
}

/// Bytes that are read from the beginning. Each method takes what it returns; none if it is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        match self.0.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.0 = rest;
                Some(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A varint that is an index or a size in memory.
    pub(crate) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    /// A varint of at most 32 bits.
    pub(crate) fn varint32(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    /// A time that stands as its difference from another.
    pub(crate) fn difference(&mut self, from: u64) -> Option<u64> {
        let number = self.varint()?;
        Some(from.wrapping_add((number >> 1) ^ 0_u64.wrapping_sub(number & 1)))
    }

    /// Bytes behind their number.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.size()?;
        self.take(count)
    }

    /// A text behind the number of its bytes.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [u64; 9] = [0, 1, 127, 128, 16_383, 16_384, 1 << 40, u64::MAX - 1, u64::MAX];

    #[test]
    fn what_is_written_is_read_and_takes_as_much_as_was_said() {
        for number in NUMBERS {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            assert_eq!(bytes.len(), varint_bytes(number));
            let mut reader = Reader(&bytes);
            assert_eq!((reader.varint(), reader.is_empty()), (Some(number), true));
        }
        for (from, to) in NUMBERS.into_iter().flat_map(|from| NUMBERS.map(|to| (from, to))) {
            let mut bytes = Vec::new();
            put_difference(from, to, &mut bytes);
            assert_eq!(Reader(&bytes).difference(from), Some(to));
        }
    }

    #[test]
    fn small_differences_are_short_whichever_way_they_go() {
        for to in [1_000_063, 999_936] {
            let mut bytes = Vec::new();
            put_difference(1_000_000, to, &mut bytes);
            assert_eq!(bytes.len(), 1);
        }
    }

    #[test]
    fn what_is_cut_short_or_too_large_is_nothing() {
        let mut bytes = Vec::new();
        put_varint(u64::MAX, &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(Reader(&bytes[..length]).varint(), None);
        }
        assert_eq!(Reader(&[0xff; 11]).varint(), None);
        assert_eq!(
            Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint(),
            None
        );
        assert_eq!(Reader(&[3, b'a', b'b']).bytes(), None);
        assert_eq!(Reader(&[1, 0xff]).text(), None);
    }
}
