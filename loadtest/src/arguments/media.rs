//! `loadtest media`

use anyhow::{Result, bail};
use clap::Args;

use super::word::positive;
use super::{Load, Rate, Target};

/// `loadtest media`
#[derive(Clone, Debug, Args)]
pub struct MediaArguments {
    /// How many put and get media at once: each is the patient and the assistant of a consult of their own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub workers: u32,
    /// Media put a second over all workers, or `max`: each begins the next one at once. Each is sent in a message, and
    /// got four times.
    #[arg(long, default_value = "4")]
    pub media_rate: Rate,
    /// How wide pictures are, pixels. Three of four media are pictures.
    #[arg(long, default_value_t = 1280, value_parser = clap::value_parser!(u32).range(400..=6000))]
    pub picture_pixels: u32,
    /// How long the others are, KiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=102_400))]
    pub file_kib: u32,
    /// How often the chat is measured without media and with them. `--duration` is shared out among all of that.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: u32,
    /// The chat's conversations.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub conversations: u32,
    /// The members of each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=400))]
    pub members: u32,
    /// The chat's sends a second, over all conversations.
    #[arg(long, default_value_t = 1000.0, value_parser = positive)]
    pub rate: f64,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
}

impl MediaArguments {
    /// Media of one worker a second; none: as fast as it goes.
    ///
    /// # Errors
    /// When the rate is a part of a saturated one, which nothing looks for.
    pub fn per_worker(&self) -> Result<Option<f64>> {
        match self.media_rate {
            Rate::PerSecond(rate) => Ok(Some(rate / f64::from(self.workers))),
            Rate::Max => Ok(None),
            Rate::Percent(_) => bail!("--media-rate takes media a second, or `max`, and no percentage"),
        }
    }
}
