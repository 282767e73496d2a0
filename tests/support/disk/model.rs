//! What a disk may hold when the power goes.
//!
//! Only what was synced is certain. Of the data written to a file after its last sync each write may
//! be there, be lost, or be there in some of its sectors, whatever their order; the file may have
//! grown without them. Names are certain once their folder was synced; of the later ones a file
//! system with a journal keeps the first few, and one without keeps any. This is weaker than what
//! ext4 or xfs promise, so what survives here survives there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::record::{Change, Step};

const SECTOR: usize = 512;

/// The disk under a program, between two steps of its record.
#[derive(Clone)]
pub struct Disk {
    /// Files and folders as they were created; the first is the recorded folder itself.
    nodes: Vec<Node>,
}

#[derive(Clone)]
enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Clone, Default)]
struct File {
    certain: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Edit>,
}

#[derive(Clone)]
enum Edit {
    Truncate(usize),
    Write(usize, Vec<u8>),
}

type Names = BTreeMap<String, usize>;

#[derive(Clone, Default)]
struct Folder {
    certain: Names,
    now: Names,
    pending: Vec<Naming>,
}

#[derive(Clone)]
enum Naming {
    Add(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

/// Which of the names that no sync made certain outlive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesKept {
    /// The first few of each folder, as with a journal.
    InOrder,
    /// Any.
    Any,
}

/// What a folder holds: file contents by relative path, `None` for a folder.
pub type Image = BTreeMap<String, Option<Vec<u8>>>;

/// A small generator of numbers that a seed determines.
pub struct Chance(pub u64);

impl Chance {
    /// A number below `limit` (`SplitMix64`, Steele et al. 2014).
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

impl Disk {
    /// A disk that certainly holds an image.
    pub fn holding(image: &Image) -> Self {
        let mut disk = Self { nodes: vec![Node::Folder(Folder::default())] };
        for (path, content) in image {
            let node = match content {
                Some(bytes) => Node::File(File {
                    certain: bytes.clone(),
                    now: bytes.clone(),
                    pending: Vec::new(),
                }),
                None => Node::Folder(Folder::default()),
            };
            let (parent, name) = disk.parent(path);
            disk.nodes.push(node);
            let new = disk.nodes.len() - 1;
            let folder = disk.folder(parent);
            folder.now.insert(name.clone(), new);
            folder.certain.insert(name, new);
        }
        disk
    }

    /// Does one step. A sync counts only if `honest` says so of it.
    pub fn step(&mut self, step: &Step, honest: impl Fn(&Step) -> bool) {
        let path = step.path.as_str();
        match &step.change {
            Change::Create => self.add(path, Node::File(File::default())),
            Change::MakeFolder => self.add(path, Node::Folder(Folder::default())),
            Change::Truncate(size) => self.edit(path, Edit::Truncate(*size)),
            Change::Write(offset, data) => self.edit(path, Edit::Write(*offset, data.clone())),
            Change::Sync => {
                if !honest(step) {
                    return;
                }
                let Some(node) = self.find(path) else { return };
                match &mut self.nodes[node] {
                    Node::File(file) => {
                        file.certain.clone_from(&file.now);
                        file.pending.clear();
                    }
                    Node::Folder(folder) => {
                        folder.certain.clone_from(&folder.now);
                        folder.pending.clear();
                    }
                }
            }
            Change::Rename(to) => {
                let ((from_parent, from), (parent, to)) = (self.parent(path), self.parent(to));
                assert_eq!(from_parent, parent, "{path}: a rename between folders is not modelled");
                let node = self.find(path).expect("what is renamed exists");
                self.name(parent, Naming::Rename(from, to, node));
            }
            Change::Remove => {
                let (parent, name) = self.parent(path);
                self.name(parent, Naming::Remove(name));
            }
        }
    }

    /// What the program sees now.
    pub fn seen(&self) -> Image {
        let mut image = Image::new();
        self.image_of(0, "", &mut image, &mut |folder| folder.now.clone(), &mut |file| {
            file.now.clone()
        });
        image
    }

    /// What the disk may hold if the power goes now.
    pub fn after_power_loss(&self, kept: NamesKept, chance: &mut Chance) -> Image {
        let mut image = Image::new();
        let chance = std::cell::RefCell::new(chance);
        self.image_of(
            0,
            "",
            &mut image,
            &mut |folder| folder.surviving(kept, &mut chance.borrow_mut()),
            &mut |file| file.surviving(&mut chance.borrow_mut()),
        );
        image
    }

    fn image_of(
        &self,
        node: usize,
        path: &str,
        image: &mut Image,
        names: &mut impl FnMut(&Folder) -> Names,
        bytes: &mut impl FnMut(&File) -> Vec<u8>,
    ) {
        match &self.nodes[node] {
            Node::File(file) => {
                image.insert(path.to_owned(), Some(bytes(file)));
            }
            Node::Folder(folder) => {
                if !path.is_empty() {
                    image.insert(path.to_owned(), None);
                }
                for (name, child) in names(folder) {
                    let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                    self.image_of(child, &path, image, names, bytes);
                }
            }
        }
    }

    fn add(&mut self, path: &str, node: Node) {
        let (parent, name) = self.parent(path);
        self.nodes.push(node);
        self.name(parent, Naming::Add(name, self.nodes.len() - 1));
    }

    fn name(&mut self, parent: usize, naming: Naming) {
        let folder = self.folder(parent);
        naming.apply(&mut folder.now);
        folder.pending.push(naming);
    }

    fn edit(&mut self, path: &str, edit: Edit) {
        // A file that was removed while it is open leaves nothing to find.
        let Some(node) = self.find(path) else { return };
        let Node::File(file) = &mut self.nodes[node] else { panic!("{path} is a folder") };
        edit.apply(&mut file.now);
        file.pending.push(edit);
    }

    fn folder(&mut self, node: usize) -> &mut Folder {
        match &mut self.nodes[node] {
            Node::Folder(folder) => folder,
            Node::File(_) => panic!("a file was used as a folder"),
        }
    }

    fn parent(&self, path: &str) -> (usize, String) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.find(parent).expect("the folder exists"), name.to_owned())
    }

    fn find(&self, path: &str) -> Option<usize> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(0, |node, name| {
            match &self.nodes[node] {
                Node::Folder(folder) => folder.now.get(name).copied(),
                Node::File(_) => None,
            }
        })
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Folder {
    fn surviving(&self, kept: NamesKept, chance: &mut Chance) -> Names {
        let mut names = self.certain.clone();
        let first = chance.below(self.pending.len() + 1);
        for (position, naming) in self.pending.iter().enumerate() {
            let survives = match kept {
                NamesKept::InOrder => position < first,
                NamesKept::Any => chance.below(2) == 0,
            };
            if survives {
                naming.apply(&mut names);
            }
        }
        names
    }
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(size) => bytes.resize(*size, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl File {
    fn surviving(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        // In a third of the cases all or nothing is there; in the others each write has its own fate.
        let fate = match chance.below(6) {
            0 => Some(0),
            1 => Some(1),
            _ => None,
        };
        for edit in &self.pending {
            match fate.unwrap_or_else(|| chance.below(3)) {
                0 => edit.grow_only(&mut bytes, chance),
                1 => edit.apply(&mut bytes),
                _ => edit.tear(&mut bytes, chance),
            }
        }
        bytes
    }
}

impl Edit {
    /// The data are lost; the size may have changed all the same, and then zeros or what lay there
    /// before, which may be anything, fill the file.
    fn grow_only(&self, bytes: &mut Vec<u8>, chance: &mut Chance) {
        let Self::Write(offset, data) = self else { return };
        let end = offset + data.len();
        if end > bytes.len() {
            match chance.below(4) {
                0 => bytes.resize(end, 0),
                1 => bytes.resize(end, 0xa5),
                _ => {}
            }
        }
    }

    /// Some sectors are written, the others keep what they had.
    fn tear(&self, bytes: &mut Vec<u8>, chance: &mut Chance) {
        let Self::Write(offset, data) = self else {
            self.apply(bytes);
            return;
        };
        let mut from = 0;
        while from < data.len() {
            let sector_end = ((offset + from) / SECTOR + 1) * SECTOR;
            let to = (sector_end - offset).min(data.len());
            let piece = Self::Write(offset + from, data[from..to].to_vec());
            if chance.below(2) == 0 {
                piece.apply(bytes);
            } else {
                piece.grow_only(bytes, chance);
            }
            from = to;
        }
    }
}

/// Writes an image into an empty folder.
pub fn lay_out(image: &Image, folder: &Path) {
    // Folders sort before what is in them.
    for (path, content) in image {
        let path = folder.join(path);
        match content {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::create_dir(path).unwrap(),
        }
    }
}

/// The image of a folder.
pub fn image_of(folder: &Path) -> Image {
    let entries = walkdir::WalkDir::new(folder).min_depth(1).into_iter().map(Result::unwrap);
    entries
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let content = entry.file_type().is_file().then(|| fs::read(entry.path()).unwrap());
            (path, content)
        })
        .collect()
}
