//! YAML to a tree that keeps each value's own text and place, so that `no`, `010` and `1:30` are
//! still what the user wrote. Aliases and merge keys are resolved, duplicate keys are named.
//! Knows nothing of topologies.

mod older;
mod tagged;

use std::borrow::Cow;
use std::collections::HashMap;

use archetype_model::topology::Position;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::scalar::{Resolved, resolved};
use crate::source::Text;

/// Values an alias may bring in at most, so that a small file cannot ask for all memory.
const LARGEST: usize = 1_000_000;
/// How deep values may be nested, aliases included.
const DEEPEST: usize = 200;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The value.
    pub value: Value,
    /// Where it begins in the file.
    pub at: Position,
    size: usize,
    depth: usize,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text; `plain` when written without quotes, so that it may also be read as a number.
    Scalar {
        /// The text as written, escapes resolved.
        text: String,
        /// Whether it was written without quotes and is no block.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Tree>),
    /// Keys and values in the order of the file, each key once.
    Mapping(Vec<(Key, Tree)>),
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Whether it was written without quotes.
    pub plain: bool,
    /// Where it begins in the file.
    pub at: Position,
    /// Where the same key stands that a merge key brings in, or that it replaces.
    pub clash: Option<Position>,
}

/// What is wrong with the YAML itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is no YAML from here on.
    Syntax(Position, String),
    /// A key stands twice in one mapping: the second place, the first place, the key.
    Duplicate(Position, Position, String),
    /// A key is a list or a mapping.
    KeyNoText(Position),
    /// A merge key's value is no mapping.
    BadMerge(Position),
}

impl Tree {
    fn new(value: Value, at: Position) -> Self {
        let (size, depth) = match &value {
            Value::Scalar { .. } => (1, 0),
            Value::Sequence(items) => measure(items.iter()),
            Value::Mapping(entries) => measure(entries.iter().map(|(_, tree)| tree)),
        };
        Self { value, at, size, depth }
    }

    /// Whether the value is absent: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

fn measure<'a>(children: impl Iterator<Item = &'a Tree>) -> (usize, usize) {
    children.fold((1, 1), |(size, depth), child| (size.saturating_add(child.size), depth.max(child.depth + 1)))
}

/// Reads the first document of `text`; `None` when it is empty or stops being YAML. Everything
/// that is wrong is named, not only the first.
pub fn parse(text: &Text) -> (Option<Tree>, Vec<Fault>) {
    read(text, false)
}

/// As `parse`, but of a key that stands twice the last value is taken.
pub fn parse_last_wins(text: &Text) -> (Option<Tree>, Vec<Fault>) {
    read(text, true)
}

fn read(text: &Text, last_wins: bool) -> (Option<Tree>, Vec<Fault>) {
    if let Some(fault) = other_version(text) {
        return (None, vec![fault]);
    }
    let mut text = Cow::Borrowed(text);
    for _ in 0..older::MENDED {
        let mut reader = Reader::new(&text, last_wins);
        let tree = reader.document();
        let in_brackets = reader.brackets > 0;
        let mended = reader.stopped.as_ref().and_then(|(at, what)| older::mended(&text, *at, what, in_brackets));
        match (tree, mended) {
            (Err(_), Some(mended)) => text = Cow::Owned(mended),
            (tree, _) => return reader.done(tree),
        }
    }
    let mut reader = Reader::new(&text, last_wins);
    let tree = reader.document();
    reader.done(tree)
}

/// A `%YAML` line that asks for another version than 1.1, which containerlab's reader refuses.
fn other_version(text: &Text) -> Option<Fault> {
    let mut offset = 0;
    for line in text.as_str().split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["%YAML", version, ..] if *version != "1.1" => {
                let what = format!("it says that it is YAML {version}, and topologies are YAML 1.1");
                return Some(Fault::Syntax(text.position(offset), what));
            }
            [first, ..] if !first.starts_with(['%', '#']) => return None,
            _ => offset += line.chars().count(),
        }
    }
    None
}

/// Whether an event is part of the data; comments are not.
fn is_content(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd
    )
}

/// The entries of a mapping, each key once.
#[derive(Default)]
struct Gathered {
    entries: Vec<(Key, Tree)>,
    places: HashMap<String, usize>,
}

impl Gathered {
    /// Adds an entry; one of the same key is replaced, but two mappings become one.
    fn put(&mut self, key: Key, value: Tree) {
        match self.places.get(&key.text) {
            Some(place) => {
                let (before, known) = &self.entries[*place];
                let key = Key { clash: Some(before.at), ..key };
                self.entries[*place] = (key, united(known, value));
            }
            None => {
                self.places.insert(key.text.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }
}

/// The later of two values; of two mappings both, the later one's entries going before.
fn united(known: &Tree, value: Tree) -> Tree {
    match (&known.value, &value.value) {
        (Value::Mapping(before), Value::Mapping(after)) => {
            let mut all = Gathered::default();
            before.iter().chain(after).for_each(|(key, tree)| all.put(key.clone(), tree.clone()));
            Tree::new(Value::Mapping(all.entries), value.at)
        }
        _ => value,
    }
}

/// `a:` between brackets without anything behind it is a text, where it was taken for a key.
fn lone_key(item: Tree) -> Tree {
    match &item.value {
        Value::Mapping(entries) => match entries.as_slice() {
            [(Key { text, plain: true, at, .. }, value)] if text.ends_with(':') && value.is_null() => {
                Tree::new(Value::Scalar { text: text.clone(), plain: true }, *at)
            }
            _ => item,
        },
        _ => item,
    }
}

struct Reader<'t> {
    events: Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>,
    text: &'t Text,
    chars: Vec<char>,
    anchors: HashMap<usize, Tree>,
    faults: Vec<Fault>,
    last_wins: bool,
    /// Whether `\/` stands anywhere in the text.
    has_escaped_slash: bool,
    /// From where to where the latest event goes, in characters.
    latest: (usize, usize),
    /// How many brackets and braces are open.
    brackets: usize,
    /// Where the parser itself stopped, in characters, and its word for why.
    stopped: Option<(usize, String)>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t Text, last_wins: bool) -> Self {
        Self {
            events: Parser::new_from_str(text.as_str()),
            text,
            chars: text.as_str().chars().collect(),
            anchors: HashMap::new(),
            faults: Vec::new(),
            last_wins,
            has_escaped_slash: text.as_str().contains("\\/"),
            latest: (0, 0),
            brackets: 0,
            stopped: None,
        }
    }

    /// The tree, and all that is wrong with it.
    fn done(mut self, tree: Result<Option<Tree>, Fault>) -> (Option<Tree>, Vec<Fault>) {
        match tree {
            Ok(tree) => (tree, self.faults),
            Err(fault) => {
                self.faults.push(fault);
                (None, self.faults)
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Position), Fault> {
        loop {
            match self.events.next_event() {
                Some(Ok((event, _))) if !is_content(&event) => {}
                Some(Ok((event, span))) => {
                    self.escaped_slash(&event, &span)?;
                    self.indented_by_blanks(span.start.index())?;
                    self.latest = (span.start.index(), span.end.index());
                    return Ok((event, self.place(&span)));
                }
                Some(Err(error)) => {
                    self.stopped = Some((error.marker().index(), error.info().to_owned()));
                    return Err(self.syntax(&error));
                }
                None => return Ok((Event::StreamEnd, Position::START)),
            }
        }
    }

    /// Nothing is indented by a tab between the latest event and the one that begins at `next`.
    fn indented_by_blanks(&self, next: usize) -> Result<(), Fault> {
        if self.brackets > 0 {
            return Ok(());
        }
        match older::indenting_tab(&self.chars, self.latest.1, next) {
            Some(tab) => Err(Fault::Syntax(self.text.position(tab), "a tab cannot indent".into())),
            None => Ok(()),
        }
    }

    /// `\/` inside double quotes came with YAML 1.2; containerlab's reader refuses it.
    fn escaped_slash(&self, event: &Event<'_>, span: &Span) -> Result<(), Fault> {
        if !self.has_escaped_slash || !matches!(event, Event::Scalar(_, ScalarStyle::DoubleQuoted, ..)) {
            return Ok(());
        }
        let (from, to) = (span.start.index(), span.end.index());
        let mut escaped = false;
        for (offset, &char) in self.chars.iter().enumerate().skip(from).take(to - from) {
            if escaped && char == '/' {
                return Err(Fault::Syntax(self.text.position(offset), "\"\\/\" is no escape of YAML 1.1".into()));
            }
            escaped = char == '\\' && !escaped;
        }
        Ok(())
    }

    fn place(&self, span: &Span) -> Position {
        self.text.position(span.start.index())
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        Fault::Syntax(self.text.position(error.marker().index()), error.info())
    }

    fn document(&mut self) -> Result<Option<Tree>, Fault> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
                (event, at) => {
                    let tree = self.value(event, at)?;
                    // To the end of the document, so that a fault after the first value is named.
                    while !matches!(self.next()?.0, Event::DocumentEnd | Event::StreamEnd) {}
                    return Ok(Some(tree));
                }
            }
        }
    }

    fn value(&mut self, event: Event<'t>, at: Position) -> Result<Tree, Fault> {
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = self.as_older(text, style, at)?;
                let (text, plain) = tagged::read(text, style, tag.as_deref()).map_err(|why| Fault::Syntax(at, why))?;
                (Tree::new(Value::Scalar { text: text.into_owned(), plain }, at), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(at)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(at)?, anchor),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(tree) => (tree.clone(), 0),
                None => return Err(Fault::Syntax(at, "an alias stands inside what it stands for".into())),
            },
            _ => return Err(Fault::Syntax(at, "a value was expected here".into())),
        };
        if tree.size > LARGEST || tree.depth > DEEPEST {
            return Err(Fault::Syntax(at, "this becomes too large once its aliases are resolved".into()));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        Ok(tree)
    }

    /// The text of the scalar just read as the older reader takes it.
    fn as_older<'s>(&self, text: Cow<'s, str>, style: ScalarStyle, at: Position) -> Result<Cow<'s, str>, Fault> {
        let (begin, end) = self.latest;
        if begin == end {
            return Ok(text);
        }
        if style != ScalarStyle::Plain {
            let unended = older::unended(&text, style, end >= self.chars.len(), &self.chars);
            return Ok(unended.map_or(text, Cow::Owned));
        }
        match older::plain(&text, self.brackets > 0, end, &self.chars) {
            older::Plain::Same => Ok(text),
            older::Plain::WithColon => Ok(Cow::Owned(format!("{text}:"))),
            older::Plain::Refused(why) => Err(Fault::Syntax(at, why.to_owned())),
        }
    }

    /// Whether the latest event begins at `bracket`.
    fn begins_at(&self, bracket: char) -> bool {
        self.chars.get(self.latest.0) == Some(&bracket)
    }

    fn sequence(&mut self, at: Position) -> Result<Tree, Fault> {
        let inside = usize::from(self.begins_at('['));
        self.brackets += inside;
        let mut items = Vec::new();
        let mut size = 0;
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    self.brackets -= inside;
                    return Ok(Tree::new(Value::Sequence(items), at));
                }
                (event, place) => {
                    let is_pair = matches!(event, Event::MappingStart(..)) && !self.begins_at('{');
                    let item = self.value(event, place)?;
                    let item = if is_pair && inside > 0 { lone_key(item) } else { item };
                    size = self.grow(size, &item)?;
                    items.push(item);
                }
            }
        }
    }

    fn mapping(&mut self, at: Position) -> Result<Tree, Fault> {
        let inside = usize::from(self.begins_at('{'));
        self.brackets += inside;
        let mut gathered = Gathered::default();
        let mut first: HashMap<String, Position> = HashMap::new();
        let mut size = 0;
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                self.brackets -= inside;
                return Ok(Tree::new(Value::Mapping(gathered.entries), at));
            }
            let key = self.value(event, place)?;
            let (event, value_place) = self.next()?;
            let value = self.value(event, value_place)?;
            size = self.grow(size, &value)?;
            let Value::Scalar { text, plain } = key.value else {
                self.faults.push(Fault::KeyNoText(place));
                continue;
            };
            if text == "<<" && plain {
                self.merge(value, &mut gathered);
                continue;
            }
            // Nothing, `~` and the empty text are one key.
            let is_null = plain && resolved(&text) == Resolved::Null;
            let text = if is_null { String::new() } else { text };
            match first.insert(text.clone(), place).filter(|_| !self.last_wins) {
                Some(before) => self.faults.push(Fault::Duplicate(place, before, text)),
                None => gathered.put(Key { text, plain, at: place, clash: None }, value),
            }
        }
    }

    /// Takes over the keys behind a merge key. What stands later in the mapping goes before what
    /// stands earlier; of several merged mappings the first does.
    fn merge(&mut self, value: Tree, gathered: &mut Gathered) {
        let items = match value.value {
            Value::Mapping(entries) => return entries.into_iter().for_each(|(key, tree)| gathered.put(key, tree)),
            Value::Sequence(items) => items,
            Value::Scalar { .. } => return self.faults.push(Fault::BadMerge(value.at)),
        };
        for item in items.into_iter().rev() {
            match item.value {
                Value::Mapping(entries) => entries.into_iter().for_each(|(key, tree)| gathered.put(key, tree)),
                _ => self.faults.push(Fault::BadMerge(item.at)),
            }
        }
    }

    /// Keeps what is gathered so far below the limit while it is gathered.
    fn grow(&self, size: usize, by: &Tree) -> Result<usize, Fault> {
        let size = size.saturating_add(by.size);
        match size > LARGEST {
            true => Err(Fault::Syntax(by.at, "this becomes too large once its aliases are resolved".into())),
            false => Ok(size),
        }
    }
}
