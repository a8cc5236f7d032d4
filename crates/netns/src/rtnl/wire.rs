//! The bytes of netlink: a [`Request`] being written, a [`Message`] that came, the [`Attribute`]s
//! in it. What a message means is not known here, so one that a newer kernel has grown is read
//! and can be sent back as it came.

/// Bytes of a netlink message header.
pub const HEADER: usize = 16;
/// Marks an attribute that holds attributes.
pub const NESTED: u16 = 0x8000;
/// The bits of an attribute's type that are its type, without the nested and byte order marks.
const TYPE_MASK: u16 = 0x3fff;

fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// A netlink message being written: its type, its flags and, behind the header, its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request of type `kind` (`RTM_…`), with `flags` (`NLM_F_…`; that it is a request and
    /// wants an answer is added when it is sent), its fixed part being `fixed`.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(fixed);
        body.resize(align(body.len()), 0);
        Self { kind, flags, body }
    }

    /// The message's type.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The flags as given, without those that sending adds.
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// Everything behind the header.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Adds an attribute with `value` as its bytes.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (4 + value.len()) as u16;
        self.body.extend_from_slice(&length.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.body.resize(align(self.body.len()), 0);
        self
    }

    /// Adds an attribute of one byte.
    pub fn put_u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.put(kind, &[value])
    }

    /// Adds an attribute of two bytes in the machine's order.
    pub fn put_u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute of four bytes in the machine's order.
    pub fn put_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds a text with the zero byte that ends it.
    pub fn put_text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// Adds an attribute that holds what `fill` writes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_after(kind | NESTED, &[], fill)
    }

    /// Adds an attribute of type `kind` (taken as it is) that begins with `fixed` and goes on
    /// with what `fill` writes, as `VETH_INFO_PEER` does.
    pub fn nest_after(&mut self, kind: u16, fixed: &[u8], fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.body.len();
        self.put(kind, fixed);
        fill(self);
        let length = (self.body.len() - start) as u16;
        self.body[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The whole message with its header, `flags` added to its own.
    pub fn bytes(&self, sequence: u32, flags: u16) -> Vec<u8> {
        let mut all = Vec::with_capacity(HEADER + self.body.len());
        all.extend_from_slice(&((HEADER + self.body.len()) as u32).to_ne_bytes());
        all.extend_from_slice(&self.kind.to_ne_bytes());
        all.extend_from_slice(&(self.flags | flags).to_ne_bytes());
        all.extend_from_slice(&sequence.to_ne_bytes());
        all.extend_from_slice(&0u32.to_ne_bytes());
        all.extend_from_slice(&self.body);
        all
    }
}

/// A netlink message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type (`RTM_…`, `NLMSG_…`).
    pub kind: u16,
    /// Its flags (`NLM_F_…`).
    pub flags: u16,
    /// The number of the request that it answers; 0 when the kernel speaks by itself.
    pub sequence: u32,
    /// Everything behind the header.
    pub body: Vec<u8>,
}

impl Message {
    /// Takes apart what one read of a netlink socket gave. A torn message ends the reading.
    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while let Some(length) = read_u32(bytes, 0).map(|l| l as usize) {
            if length < HEADER || length > bytes.len() {
                break;
            }
            all.push(Self {
                kind: read_u16(bytes, 4).unwrap_or_default(),
                flags: read_u16(bytes, 6).unwrap_or_default(),
                sequence: read_u32(bytes, 8).unwrap_or_default(),
                body: bytes[HEADER..length].to_vec(),
            });
            bytes = &bytes[align(length).min(bytes.len())..];
        }
        all
    }

    /// The attributes behind a fixed part of `fixed` bytes.
    pub fn attributes(&self, fixed: usize) -> Attributes<'_> {
        Attributes(self.body.get(align(fixed)..).unwrap_or_default())
    }
}

/// The attributes of a message or of another attribute, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let length = read_u16(self.0, 0)? as usize;
        if length < 4 || length > self.0.len() {
            return None;
        }
        let kind = read_u16(self.0, 2)? & TYPE_MASK;
        let value = &self.0[4..length];
        self.0 = &self.0[align(length).min(self.0.len())..];
        Some(Attribute { kind, value })
    }
}

/// One attribute of a message that came.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// Its type, without the marks for nesting and byte order.
    pub kind: u16,
    /// Its bytes.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Its first byte; 0 when it is empty.
    pub fn u8(&self) -> u8 {
        self.value.first().copied().unwrap_or_default()
    }

    /// Its first two bytes as a number; 0 when it is shorter.
    pub fn u16(&self) -> u16 {
        read_u16(self.value, 0).unwrap_or_default()
    }

    /// Its first four bytes as a number; 0 when it is shorter.
    pub fn u32(&self) -> u32 {
        read_u32(self.value, 0).unwrap_or_default()
    }

    /// As text, up to its zero byte; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let end = self.value.iter().position(|b| *b == 0).unwrap_or(self.value.len());
        String::from_utf8_lossy(&self.value[..end]).into_owned()
    }

    /// The attributes inside it.
    pub fn inner(&self) -> Attributes<'a> {
        Attributes(self.value)
    }
}

/// Two bytes at `at` in the machine's order, if they are there.
pub fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes)
}

/// Four bytes at `at` in the machine's order, if they are there.
pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut request = Request::new(16, 0, &[7; 16]);
        request.put_text(3, "eth1").nest(18, |inner| {
            inner.put_text(1, "veth");
        });
        let messages = Message::parse_all(&request.bytes(9, 1));
        assert_eq!((messages.len(), messages[0].sequence, messages[0].flags), (1, 9, 1));
        let attributes: Vec<_> = messages[0].attributes(16).collect();
        assert_eq!((attributes[0].kind, attributes[0].text()), (3, "eth1".to_owned()));
        assert_eq!(attributes[1].kind, 18);
        assert_eq!(attributes[1].inner().next().unwrap().text(), "veth");
    }

    #[test]
    fn torn_bytes_end_the_reading_without_harm() {
        let request = Request::new(16, 0, &[0; 16]);
        let bytes = request.bytes(1, 0);
        for cut in 0..bytes.len() {
            assert!(Message::parse_all(&bytes[..cut]).is_empty());
        }
        assert!(Attributes(&[3, 0, 1, 0, 9]).next().is_none());
        assert!(Attributes(&[200, 0, 1, 0, 9]).next().is_none());
    }
}
