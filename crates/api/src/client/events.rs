//! Server-sent events read from a stream of bytes: the `data` of each event, comments left out.

use std::collections::VecDeque;

use futures::stream::{Stream, StreamExt, unfold};

struct Decoder<S> {
    pieces: S,
    buffer: Vec<u8>,
    ready: VecDeque<String>,
    data: Vec<String>,
}

/// The data of each event, as text.
pub(super) fn decode<S>(pieces: S) -> impl Stream<Item = Result<String, String>>
where
    S: Stream<Item = Result<Vec<u8>, String>> + Send + 'static,
{
    let decoder = Decoder { pieces: Box::pin(pieces), buffer: Vec::new(), ready: VecDeque::new(), data: Vec::new() };
    unfold(decoder, |mut decoder| async move {
        loop {
            if let Some(event) = decoder.ready.pop_front() {
                return Some((Ok(event), decoder));
            }
            match decoder.pieces.next().await? {
                Ok(piece) => decoder.take(&piece),
                Err(why) => return Some((Err(why), decoder)),
            }
        }
    })
}

impl<S> Decoder<S> {
    fn take(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(text) = line.strip_prefix("data:") {
                self.data.push(text.strip_prefix(' ').unwrap_or(text).to_string());
            } else if line.is_empty() && !self.data.is_empty() {
                self.ready.push_back(self.data.drain(..).collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::iter;

    use super::*;

    #[tokio::test]
    async fn an_event_may_come_in_pieces() {
        let pieces = [": hello\n\nid: 1\nda", "ta: {\"a\":\ndata: 1}\n", "\ndata: 2\n\n"];
        let events: Vec<_> =
            decode(iter(pieces.map(|p| Ok(p.as_bytes().to_vec())))).map(Result::unwrap).collect().await;
        assert_eq!(events, ["{\"a\":\n1}", "2"]);
    }
}
