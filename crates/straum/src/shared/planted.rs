//! A way to break one of the rules that make the journal safe, on purpose: only a build with the feature
//! `planted-bugs` can, which the simulation has and no program that is shipped.

/// A rule that can be broken, named by the bug that this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-bugs"),
    expect(unreachable_pub, reason = "nobody else can see it")
)]
pub enum Bug {
    /// When nobody knows what became of a put, the commands are put again as a new batch.
    NewIdentityAfterUnknown,
    /// Entries are applied as they come to be known, and not in the order of their positions.
    ApplyOutOfOrder,
    /// Nobody remembers which batches have taken effect: one that comes again takes effect again.
    ApplyBatchTwice,
    /// What stands at the position of a proposal is taken for the proposal, without a look at whose it is.
    TakeAnyEntryForOurs,
}

/// What is broken: nothing, unless a bug was planted.
#[derive(Debug, Default)]
pub(super) struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Option<Bug>,
}

impl Planted {
    #[cfg(feature = "planted-bugs")]
    pub(super) fn plant(&mut self, bug: Bug) {
        self.bug = Some(bug);
    }

    #[cfg(feature = "planted-bugs")]
    pub(super) fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "with planted bugs, it knows which")]
    pub(super) fn is(&self, _bug: Bug) -> bool {
        false
    }
}
