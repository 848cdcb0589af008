//! How long a message is on its way. Never keeps a message.

use fastrand::Rng;

use crate::time::Nanos;

/// How latencies spread around their mean (`--latency-dist`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Always the mean.
    #[default]
    Constant,
    /// Anything from 0 to twice the mean, each as likely.
    Uniform,
    /// Mostly short, now and then long.
    Exponential,
}

impl Distribution {
    /// A latency. Draws nothing if the mean is 0 or the latency constant.
    pub(super) fn draw(self, mean: Nanos, rng: &mut Rng) -> Nanos {
        if mean == 0 {
            return 0;
        }
        match self {
            Self::Constant => mean,
            Self::Uniform => rng.u64(0..=mean.saturating_mul(2)),
            Self::Exponential => scaled(mean, -(1.0 - rng.f64()).ln()),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and 53 bits of a latency are enough"
)]
fn scaled(mean: Nanos, factor: f64) -> Nanos {
    (mean as f64 * factor) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MILLISECOND;

    #[test]
    fn every_distribution_keeps_its_mean() {
        let mut rng = Rng::with_seed(1);
        for distribution in
            [Distribution::Constant, Distribution::Uniform, Distribution::Exponential]
        {
            let sum: u64 = (0..10_000).map(|_| distribution.draw(MILLISECOND, &mut rng)).sum();
            let mean = sum / 10_000;
            assert!((950_000..1_050_000).contains(&mean), "{distribution:?}: {mean}");
        }
    }
}
