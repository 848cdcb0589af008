//! What tells one journal from all others, mixed into each of its checksums: bytes of a client, or of another
//! journal, then never pass for ours. Never makes a random number itself.

use crc32fast::Hasher;

/// The size of an identity, in bytes.
pub(crate) const IDENTITY_BYTES: usize = 16;

/// 16 bytes that were random when the journal was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    bytes: [u8; IDENTITY_BYTES],
    crc: u32,
}

impl Identity {
    /// An identity of these bytes.
    pub fn new(bytes: [u8; IDENTITY_BYTES]) -> Self {
        Self { bytes, crc: crc32fast::hash(&bytes) }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; IDENTITY_BYTES] {
        &self.bytes
    }

    /// A checksum that has taken in the identity.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new_with_initial(self.crc)
    }

    /// The checksum of the identity, these numbers in 8 bytes each, and these bytes.
    pub(crate) fn checksum(&self, numbers: &[u64], bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher();
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(bytes);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_identity_the_numbers_and_the_bytes_end_to_end() {
        let identity = Identity::new([7; IDENTITY_BYTES]);
        let all = [&[7; IDENTITY_BYTES][..], &1_u64.to_le_bytes(), &2_u64.to_le_bytes(), b"bytes"];
        assert_eq!(identity.checksum(&[1, 2], b"bytes"), crc32fast::hash(&all.concat()));
    }
}
