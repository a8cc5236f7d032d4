//! Tells those who follow the journal that it grew; what grew they read from the store.

use tokio::sync::watch;

/// The bell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(watch::Sender<u64>);

impl Bell {
    /// Says that the journal grew.
    pub fn ring(&self) {
        self.0.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// To hear it.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
