//! Cuts a byte stream of JSON values that stand side by side without delimiter into messages.
//! Every byte is looked at once, wherever the reads were cut. Knows nothing of JSON-RPC.

use serde_json::Value as Json;

/// The largest message that is gathered, in bytes; beyond it the peer is taken to be broken.
const LARGEST_MESSAGE: usize = 512 << 20;

/// Gathers bytes and gives out whole messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// First byte of the message under way.
    start: usize,
    /// First byte not looked at.
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// Why a stream cannot be cut any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A message does not begin with a brace or bracket.
    #[error("a message begins with byte 0x{0:02x}")]
    Start(u8),
    /// A message's brackets close, but it is not JSON.
    #[error("a message is not JSON: {0}")]
    Json(String),
    /// A message does not end.
    #[error("a message is longer than {LARGEST_MESSAGE} bytes")]
    TooLong,
}

impl Framer {
    /// A framer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moving the rest down only when it is the smaller half keeps the whole cost linear.
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.at -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` until more bytes come.
    ///
    /// # Errors
    /// After an error the stream has no known message border any more; give it up.
    pub fn pull(&mut self) -> Result<Option<Json>, FramingError> {
        while let Some(&byte) = self.buffer.get(self.at) {
            self.at += 1;
            if self.depth == 0 && byte.is_ascii_whitespace() {
                self.start = self.at;
            } else if self.step(byte)? {
                let message = &self.buffer[self.start..self.at];
                self.start = self.at;
                return serde_json::from_slice(message).map(Some).map_err(|e| FramingError::Json(e.to_string()));
            }
        }
        if self.at - self.start > LARGEST_MESSAGE { Err(FramingError::TooLong) } else { Ok(None) }
    }

    /// Whether a message is under way that has not ended.
    pub fn is_mid_message(&self) -> bool {
        self.depth > 0
    }

    /// Takes one byte into account; true if it ends a message.
    fn step(&mut self, byte: u8) -> Result<bool, FramingError> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'{' | b'[' => self.depth += 1,
            _ if self.depth == 0 => return Err(FramingError::Start(byte)),
            b'"' => self.in_string = true,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(self.depth == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn messages() -> impl Strategy<Value = Vec<Json>> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[\\\\\"{}\\[\\] ]{0,6}".prop_map(Json::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(".{0,5}", inner, 0..4).prop_map(|m| m.into_iter().collect()),
            ]
        });
        let message = prop::collection::btree_map(".{0,5}", value, 0..4).prop_map(|m| m.into_iter().collect::<Json>());
        prop::collection::vec(message, 0..6)
    }

    fn pull_all(framer: &mut Framer) -> Vec<Json> {
        std::iter::from_fn(|| framer.pull().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_yields_the_same_messages(
            wanted in messages(),
            pretty in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let write = |m: &Json| if pretty { format!("{m:#}\n ") } else { m.to_string() };
            let bytes = wanted.iter().map(write).collect::<String>().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut framer, mut got, mut from) = (Framer::new(), Vec::new(), 0);
            for to in cuts {
                framer.push(&bytes[from..to]);
                got.extend(pull_all(&mut framer));
                from = to;
            }
            prop_assert_eq!(got, wanted);
            prop_assert!(!framer.is_mid_message());
        }
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let mut framer = Framer::new();
        let mut got = Vec::new();
        for byte in br#"{"a":"}\"{"}{"b":[1,{}]}"# {
            framer.push(&[*byte]);
            got.extend(pull_all(&mut framer));
        }
        assert_eq!(got, [json!({"a": "}\"{"}), json!({"b": [1, {}]})]);
    }

    #[test]
    fn a_message_that_begins_with_rubbish_is_an_error() {
        let mut framer = Framer::new();
        framer.push(b"HTTP/1.1 400");
        assert_eq!(framer.pull(), Err(FramingError::Start(b'H')));
    }

    #[test]
    fn balanced_brackets_that_are_not_json_are_an_error() {
        let mut framer = Framer::new();
        framer.push(b"{]");
        assert!(matches!(framer.pull(), Err(FramingError::Json(_))));
    }
}
