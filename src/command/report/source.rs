//! Owns the logs as bytes: file after file in large blocks of whole lines, each with the place where it begins.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::config::problem::Wrong;
use crate::logbook::LONGEST_LINE;
use crate::logbook::Place;

/// One log.
#[derive(Debug)]
pub(super) struct Input {
    /// As it was named.
    pub(super) name: String,
    /// In bytes, where that is known.
    pub(super) length: Option<u64>,
    from: From,
}

#[derive(Debug)]
enum From {
    File(File),
    StandardInput(io::Stdin),
}

/// All logs, one behind the other.
#[derive(Debug)]
pub(super) struct Source {
    inputs: VecDeque<Input>,
    /// Where the next block begins.
    next: Place,
    /// The beginning of the next block, which was read with the one before.
    carry: Vec<u8>,
    /// Bytes that were handed out.
    read: u64,
    length: Option<u64>,
}

/// Some lines.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// The place of the first one.
    pub(super) begin: Place,
    /// A line that is too long, and was thrown away; there are no others then.
    pub(super) too_long: Option<Place>,
}

/// A log that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{name} could not be read to its end; what is said is of what came before")]
pub(super) struct Unread {
    name: String,
    source: io::Error,
}

impl Input {
    /// Opens a log; `-` is standard input.
    pub(super) fn open(file: &Path) -> Result<Self, Wrong> {
        if file == Path::new("-") {
            let name = "standard input".to_owned();
            return Ok(Self { name, length: None, from: From::StandardInput(io::stdin()) });
        }
        let opened = File::open(file).map_err(|error| unopened(&error))?;
        let metadata = opened.metadata().map_err(|error| unopened(&error))?;
        if metadata.is_dir() {
            return Err(Wrong::new("this is a directory", "name the logs in it"));
        }
        let mut magic = [0; 4];
        if metadata.is_file() && opened.read_at(&mut magic, 0).is_ok() {
            let tool = COMPRESSED.iter().find(|(begin, _)| magic.starts_with(begin)).map(|(_, tool)| tool);
            if let Some(tool) = tool {
                let instead = format!("pipe it in: {tool} {} | why502 report", file.display());
                return Err(Wrong::new("this file is compressed", instead));
            }
        }
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self { name: file.display().to_string(), length, from: From::File(opened) })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.from {
            From::File(file) => file.read(buffer),
            From::StandardInput(input) => input.lock().read(buffer),
        }
    }
}

impl Block {
    pub(super) fn empty() -> Self {
        Self { bytes: Vec::with_capacity(BLOCK + 64), begin: FIRST, too_long: None }
    }
}

impl Source {
    pub(super) fn new(inputs: Vec<Input>) -> Self {
        let length = inputs.iter().map(|input| input.length).sum();
        Self { inputs: inputs.into(), next: FIRST, carry: Vec::with_capacity(BLOCK), read: 0, length }
    }

    /// How many bytes there are in all, where that is known.
    pub(super) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many of them were handed out.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// Fills a block with the next lines; false where there are none left.
    pub(super) fn fill(&mut self, block: &mut Block) -> Result<bool, Unread> {
        block.bytes.clear();
        block.too_long = None;
        while let Some(input) = self.inputs.front_mut() {
            block.begin = self.next;
            block.bytes.append(&mut self.carry);
            let wanted = BLOCK.saturating_sub(block.bytes.len());
            let read = input.take(wanted as u64).read_to_end(&mut block.bytes);
            let ended = match read {
                Ok(count) => count < wanted,
                Err(source) => {
                    let unread = Unread { name: input.name.clone(), source };
                    self.inputs.clear();
                    return Err(unread);
                }
            };
            if ended {
                self.inputs.pop_front();
                self.next = Place { file: self.next.file + 1, line: 1 };
            } else if let Some(last) = memchr::memrchr(b'\n', &block.bytes) {
                self.carry.extend_from_slice(block.bytes.get(last + 1..).unwrap_or_default());
                block.bytes.truncate(last + 1);
                self.next.line += memchr::memchr_iter(b'\n', &block.bytes).count() as u64;
            } else {
                self.skip_line(block)?;
                return Ok(true);
            }
            self.read += block.bytes.len() as u64;
            if !block.bytes.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Throws away the rest of a line whose beginning fills the block.
    fn skip_line(&mut self, block: &mut Block) -> Result<(), Unread> {
        block.too_long = Some(block.begin);
        self.next.line += 1;
        loop {
            self.read += block.bytes.len() as u64;
            block.bytes.clear();
            let Some(input) = self.inputs.front_mut() else { return Ok(()) };
            let read = input.take(BLOCK as u64).read_to_end(&mut block.bytes);
            let count = read.map_err(|source| Unread { name: input.name.clone(), source })?;
            if let Some(end) = memchr::memchr(b'\n', &block.bytes) {
                self.carry.extend_from_slice(block.bytes.get(end + 1..).unwrap_or_default());
                self.read += end as u64 + 1;
                block.bytes.clear();
                return Ok(());
            }
            if count < BLOCK {
                self.read += count as u64;
                block.bytes.clear();
                self.inputs.pop_front();
                self.next = Place { file: self.next.file + 1, line: 1 };
                return Ok(());
            }
        }
    }
}

fn unopened(error: &io::Error) -> Wrong {
    if error.kind() == io::ErrorKind::NotFound {
        Wrong::new("no such file", "name a log that why502 has written")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Wrong::new("it may not be read by this user", "run this as one who may, or let this one read it")
    } else {
        Wrong::new(format!("it cannot be opened: {error}"), "name a log that why502 has written")
    }
}

/// How many bytes a block has at most: as many as a line may have, and few enough to stay in a core's cache.
const BLOCK: usize = LONGEST_LINE;

const FIRST: Place = Place { file: 0, line: 1 };

/// How compressed files begin, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 3] = [(b"\x1f\x8b", "zcat"), (b"\x28\xb5\x2f\xfd", "zstdcat"), (b"BZh", "bzcat")];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::demo::origin::PrivateDirectory;

    #[test]
    fn blocks_hold_whole_lines_with_their_places() {
        let directory = PrivateDirectory::new().unwrap();
        let line = |number: usize| format!("{number} {}\n", "x".repeat(number % 977));
        let long: String = (0..6000).map(line).collect();
        let endless = format!("a\n{}\nb\nc", "y".repeat(5 * BLOCK / 2));
        let texts = [long, String::new(), "no end".to_owned(), endless];
        let mut inputs = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let file = directory.file(&number.to_string());
            fs::write(&file, text).unwrap();
            inputs.push(Input::open(&file).unwrap());
        }
        let mut source = Source::new(inputs);
        let (mut block, mut found, mut too_long) = (Block::empty(), Vec::new(), Vec::new());
        while source.fill(&mut block).unwrap() {
            too_long.extend(block.too_long);
            for (number, line) in (block.begin.line..).zip(block.bytes.split_inclusive(|byte| *byte == b'\n')) {
                found.push((block.begin.file, number, line.to_vec()));
            }
            assert!(block.bytes.len() <= BLOCK);
        }
        let mut expected = Vec::new();
        for (file, text) in texts.iter().enumerate() {
            let lines = (1..).zip(text.split_inclusive('\n')).filter(|(_, line)| line.len() < BLOCK);
            expected.extend(lines.map(|(number, line)| (file, number, line.as_bytes().to_vec())));
        }
        assert_eq!(found.len(), expected.len());
        assert!(found == expected, "a line is lost or has another place");
        assert_eq!(too_long, [Place { file: 3, line: 2 }]);
        assert_eq!(
            (source.length(), source.read()),
            (Some(texts.iter().map(|text| text.len() as u64).sum()), source.read)
        );
        assert_eq!(source.length(), Some(source.read()));
    }

    #[test]
    fn what_is_no_log_is_told_with_its_cure() {
        let directory = PrivateDirectory::new().unwrap();
        fs::write(directory.file("a.gz"), b"\x1f\x8b\x08\x00").unwrap();
        let wrong = |name: &str| Input::open(&directory.file(name)).unwrap_err();
        assert!(wrong("a.gz").instead.starts_with("pipe it in: zcat "));
        assert_eq!(wrong("absent").what, "no such file");
        assert_eq!(wrong(".").what, "this is a directory");
    }
}
