//! Pulling an image, with its progress told.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures::StreamExt;
use tokio::time::timeout;

use super::error::EngineError;

/// A pull that tells nothing for this long is given up. A registry may be slow; it is not silent.
const SILENCE: Duration = Duration::from_secs(300);

/// Pulls `image` and calls `progress` with a percentage whenever it rises.
pub(super) async fn pull(client: &Docker, image: &str, mut progress: impl FnMut(u64)) -> Result<(), EngineError> {
    let options = CreateImageOptions { from_image: Some(with_tag(image)), ..Default::default() };
    let mut stream = client.create_image(Some(options), None, None);
    let mut layers = Layers::default();
    loop {
        let item = timeout(SILENCE, stream.next()).await;
        let silent = || EngineError::Refused { status: 504, message: "the registry has stopped answering".into() };
        let Some(item) = item.map_err(|_| silent())? else { return Ok(()) };
        let item = item?;
        if let Some(message) = item.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
            return Err(EngineError::Refused { status: 500, message });
        }
        if let Some(percent) = layers.add(&item) {
            progress(percent);
        }
    }
}

/// A reference without tag and digest means `latest`; to the engine's call it means every tag.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || image.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

/// Bytes of each layer: done and all.
#[derive(Default)]
struct Layers {
    bytes: HashMap<String, (i64, i64)>,
    told: u64,
}

impl Layers {
    /// Takes note of one message; answers the percentage when it has risen.
    fn add(&mut self, item: &CreateImageInfo) -> Option<u64> {
        let id = item.id.clone()?;
        match (item.status.as_deref()?, item.progress_detail.as_ref()) {
            ("Downloading", Some(detail)) => {
                self.bytes.insert(id, (detail.current.unwrap_or_default(), detail.total.unwrap_or_default()));
            }
            ("Download complete", _) => {
                self.bytes.entry(id).and_modify(|(done, all)| *done = *all);
            }
            _ => return None,
        }
        let (done, all) = self.bytes.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let percent = u64::try_from(done * 100 / all.max(1)).unwrap_or_default().min(100);
        let risen = percent > self.told;
        self.told = self.told.max(percent);
        risen.then_some(percent)
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn an_image_without_a_tag_is_its_latest() {
        assert_eq!(with_tag("frr"), "frr:latest");
        assert_eq!(with_tag("localhost:5000/frr"), "localhost:5000/frr:latest");
        assert_eq!(with_tag("quay.io/frrouting/frr:10.5.1"), "quay.io/frrouting/frr:10.5.1");
        assert_eq!(with_tag("frr@sha256:00"), "frr@sha256:00");
    }

    #[test]
    fn progress_is_over_all_layers_and_never_falls() {
        let item = |id: &str, current| CreateImageInfo {
            id: Some(id.into()),
            status: Some("Downloading".into()),
            progress_detail: Some(ProgressDetail { current: Some(current), total: Some(100) }),
            ..Default::default()
        };
        let mut layers = Layers::default();
        assert_eq!(layers.add(&item("a", 50)), Some(50));
        assert_eq!(layers.add(&item("b", 0)), None);
        assert_eq!(layers.add(&item("b", 60)), Some(55));
    }
}
